"""What a check found."""

from enum import StrEnum

from pydantic import BaseModel


class Status(StrEnum):
    """``warn``: works, but needs a look. ``fail``: something that jobs need doesn't work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(BaseModel):
    """``message`` says what is, ``advice`` what to do about it; null where nothing is to be done."""

    name: str
    status: Status
    message: str
    advice: str | None


def ok(name: str, message: str) -> Finding:
    return Finding(name=name, status=Status.OK, message=message, advice=None)


def warn(name: str, message: str, advice: str) -> Finding:
    return Finding(name=name, status=Status.WARN, message=message, advice=advice)


def fail(name: str, message: str, advice: str) -> Finding:
    return Finding(name=name, status=Status.FAIL, message=message, advice=advice)


def in_words(seconds: float) -> str:
    """A span that people read."""
    for unit, length in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def listed(names: list[str], most: int = 10) -> str:
    """The names, or the first of many."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
