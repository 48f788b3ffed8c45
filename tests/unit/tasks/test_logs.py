"""A line made once is the line that a logger would write."""

import re
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from tasks.logs import LogLine, configure

_MOMENT = re.compile(r"timestamp=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ")


@pytest.fixture
def configurable() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("configurable")
def test_a_line_is_like_a_loggers(capsys: pytest.CaptureFixture[str]) -> None:
    configure("api")
    fields = {"method": "POST", "route": '/odd "route"\\\n', "status": 202, "nothing": None}
    line = LogLine("http_request", **fields)
    structlog.get_logger().info("http_request", **fields, seconds=0.0124, size=3)
    line.write(seconds=0.0124, size=3)
    logged, written = capsys.readouterr().err.splitlines()
    assert _MOMENT.match(written)
    assert _MOMENT.sub("", written) == _MOMENT.sub("", logged)


def test_a_line_goes_where_the_logs_go_if_nobody_said_how_to_log() -> None:
    line = LogLine("http_request", status=202)
    with capture_logs() as logs:
        line.write(seconds=0.5)
    assert logs == [{"event": "http_request", "status": 202, "seconds": 0.5, "log_level": "info"}]
