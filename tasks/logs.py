"""Logs are an event name and fields, never a spec, a prompt or a result."""

import logging
import sys

import structlog


def configure(process: str) -> None:
    """Send this process's logs to its standard error, one line an event; called once, at an entry point."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # httpx would log each poll of a cluster.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            lambda _logger, _method, fields: {"process": process, **fields},
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
