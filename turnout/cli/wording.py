"""Numbers, sizes and times as people read them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_STYLES = {
    "waiting": "yellow",
    "queued": "yellow",
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "magenta",
}


def state_style(state: str) -> str:
    return _STYLES.get(state, "default")


def number(value: float | None) -> str:
    """Four decimals where they tell something, else four digits that count."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:.4f}" if value == 0 or 0.001 <= abs(value) < 10_000 else f"{value:.4g}"


def size(size_bytes: int) -> str:
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"


def moment(when: datetime | None) -> str:
    """In the reader's time zone."""
    return "-" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def age(when: datetime | None) -> str:
    return "-" if when is None else duration(max(0.0, (datetime.now(UTC) - when).total_seconds()))


def as_text(document: Mapping[str, Any]) -> str:
    """A document as one line of JSON."""
    return json.dumps(document, ensure_ascii=False)


def shortened(text: str, width: int) -> str:
    """The beginning and the end of a long name, which tell names apart better than its beginning alone."""
    if len(text) <= width or width < 3:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[-end:] if end else ''}"
