"""What H2O makes of an upload, held against what the check found."""

from pathlib import Path
from typing import Any

import pytest

from tasks.errors import JobOutOfMemory
from tests.unit.h2o.fake_client import FakeClient
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.frames import await_job, frame_columns, upload_table

FULL = "DistributedException from /127.0.0.1:54321: 'null', caused by java.lang.OutOfMemoryError: Java heap space"


class Cluster(FakeClient):
    """Takes any upload and guesses ``names``."""

    def __init__(self, *names: str) -> None:
        setup = {"number_columns": len(names), "column_names": list(names)}
        super().__init__({"POST /3/ParseSetup": lambda: setup})

    def upload(self, path: Path, key: str) -> None:
        self.asked.append(f"upload {path} {key}")


def failed(reason: str | None) -> Any:
    return FakeClient({"GET /3/Jobs/j": lambda: {"jobs": [{"status": "FAILED", "exception": reason}]}}).as_client


def test_a_parse_without_memory_says_what_to_do() -> None:
    with pytest.raises(JobOutOfMemory, match="larger heap"):
        await_job(failed(FULL), "j", lambda: None)


def test_a_parse_that_failed_says_why() -> None:
    with pytest.raises(H2OError, match="Missing data"):
        await_job(failed("java.lang.IllegalArgumentException: Missing data"), "j", lambda: None)
    with pytest.raises(H2OError, match="its job ended as FAILED"):
        await_job(failed(None), "j", lambda: None)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (("C1",), "it found 1 columns where the header names 2"),
        (("x", "Y"), "it reads the column name 'y' as 'Y'; rename the column"),
    ],
)
def test_another_header_than_the_check_found_is_refused(names: tuple[str, ...], complaint: str) -> None:
    cluster = Cluster(*names)
    with pytest.raises(H2OError, match=complaint):
        upload_table(
            cluster.as_client,
            Path("table"),
            "key",
            columns=("x", "y"),
            separator=",",
            types={},
            missing={},
            renamed={},
            tick=lambda: None,
        )
    assert cluster.asked == ["upload table key_raw", "POST /3/ParseSetup"]


def test_no_row_is_asked_for_where_only_columns_are_wanted() -> None:
    asked: dict[str, Any] = {}

    class Wide(FakeClient):
        def get(self, _path: str, **arguments: object) -> Any:
            asked.update(arguments)
            return {"frames": [{"columns": []}]}

    assert frame_columns(Wide({}).as_client, "wide") == []
    assert asked["params"] == {"row_count": "0", "column_count": "-1"}
