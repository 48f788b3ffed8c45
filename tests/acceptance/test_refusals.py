"""What can't work is refused with a sentence that names what is wrong, never with a Java stack."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.automl import left_in_h2o, submit_automl
from tests.acceptance.program import Program
from tests.waiting import until
from turnout import Client
from turnout.errors import Invalid
from turnout.records import File


def refused(client: Client, dataset: File, **changes: object) -> str:
    """The sentence that a job fails with."""
    record = submit_automl(client, dataset, **changes).wait(60)
    assert (record.state, record.reason, record.attempt) == ("failed", "invalid_input", 1)
    assert record.error is not None
    sentence = str(record.error["message"])
    assert "Exception" not in sentence
    assert "hex." not in sentence
    return sentence


def jobs_in_h2o(program: Program) -> list[Any]:
    """The keys of all jobs that the embedded cluster ever had."""
    announced = program.home / "h2o" / "cluster.json"
    until(announced.exists, 120, what="the cluster")
    cluster = json.loads(announced.read_text())
    answer = httpx.get(f"{cluster['url']}/3/Jobs", auth=(cluster["user"], cluster["password"]), timeout=30)
    return [job["key"]["name"] for job in answer.raise_for_status().json()["jobs"]]


ROWS = [f"{n},{n % 7},{'ab'[n % 2]}" for n in range(400)]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            [*ROWS, "1,2"],
            "Line 402 of the dataset has 2 fields where the header has 3; quote fields that contain the separator.",
        ),
        ([f"{n},1,a" for n in range(400)], "The target 'y' has only one class ('a')."),
        (
            [f"1,1,{'ab'[n % 2]}" for n in range(400)],
            "Every feature has the same value in all rows, so there is nothing to learn from.",
        ),
        (
            [*ROWS, "1,é,a"],
            "The dataset is not UTF-8 text: line 402 has the byte 0xe9 in column 'x2'; set encoding to what it was "
            "saved in, such as windows-1252, or save it as UTF-8.",
        ),
    ],
    ids=["ragged", "one class", "constant predictors", "latin-1"],
)
def test_a_bad_table_starts_nothing_in_h2o(
    program: Program, client: Client, tmp_path: Path, lines: list[str], sentence: str
) -> None:
    (tmp_path / "table.csv").write_bytes("\n".join(["x1,x2,y", *lines, ""]).encode("latin-1"))
    before = jobs_in_h2o(program), left_in_h2o(program)
    assert refused(client, client.upload(tmp_path / "table.csv")) == sentence
    assert (jobs_in_h2o(program), left_in_h2o(program)) == before


def test_a_missing_target_is_named(client: Client, circle: File) -> None:
    sentence = refused(client, circle, target="z")
    assert "'z'" in sentence or '"z"' in sentence
    assert "x1" in sentence


def test_a_missing_feature_is_named(client: Client, circle: File) -> None:
    assert "x9" in refused(client, circle, features=["x1", "x9"])


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02\xff" * 100, b"x1,x2,y\n", b"x1,x2,y\n1,2,3\n4,5\n" * 40])
def test_a_file_that_is_no_table_is_refused(client: Client, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert refused(client, client.upload(path))


def test_unknown_options_are_named(client: Client, circle: File) -> None:
    with pytest.raises(Invalid) as refusal:
        submit_automl(client, circle, max_modles=3)
    assert "max_modles" in str(refusal.value.errors) + str(refusal.value)


def test_values_out_of_range_are_named(client: Client, circle: File) -> None:
    with pytest.raises(Invalid) as refusal:
        submit_automl(client, circle, max_models=-1)
    assert "max_models" in str(refusal.value.errors) + str(refusal.value)


def test_another_file_s_id_is_refused(client: Client) -> None:
    with pytest.raises(Invalid):
        client.submit("train_automl", {"dataset": {"file": "no-such-file"}, "target": "y"})
