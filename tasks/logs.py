"""Logs are an event name and fields, never a spec, a prompt or a result."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import structlog

_render = structlog.processors.LogfmtRenderer()


def configure(process: str) -> None:
    """Send this process's logs to its standard error, one line an event; called once, at an entry point."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # httpx would log each poll of a cluster.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            _Process(process),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "process", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # A module's logger is made once; making it anew for each line takes longer than writing the line.
        cache_logger_on_first_use=True,
    )


class _Process:
    """Adds the field ``process``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, _logger: Any, _method: str, fields: Any) -> Any:
        return {"process": self.name, **fields}


class LogLine:
    """An event of level INFO that comes often and mostly with the same fields, which are made into text once: at a
    tenth of the time of a logger's line, and just like it. To be made after ``configure``."""

    def __init__(self, event: str, **fields: Any) -> None:
        first = structlog.get_config()["processors"][0]
        self._process = first.name if isinstance(first, _Process) else None
        self._fields = {"event": event, **fields}
        self._text = _render(None, "info", self._fields)
        self._printer = structlog.PrintLogger(sys.stderr)

    def write(self, **numbers: float) -> None:
        """Log it, with these fields besides, whose values are numbers."""
        if self._process is None:
            # Nobody has said how this process logs, as in a test.
            structlog.get_logger().info(**self._fields, **numbers)
            return
        moment = datetime.now(UTC).isoformat()[: -len("+00:00")]
        more = "".join(f" {name}={number}" for name, number in numbers.items())
        self._printer.info(f"timestamp={moment}Z level=info process={self._process} {self._text}{more}")
