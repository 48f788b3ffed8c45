"""Running jobs anew, and keeping what they made."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.unit.api.serving import HandWorker
from turnout import Client
from turnout.cli.endings import Exit

Turnout = Callable[..., Result]


@pytest.fixture
def failed(turnout: Turnout, worker: HandWorker) -> str:
    """A job that failed, and left two pictures and a table."""
    job_id = turnout("submit", "count_words", "--text", "one", "--tag", "a=b").stdout.strip()
    token = worker.start(job_id)
    worker.save(token, "roc.png", b"png", "image/png")
    worker.save(token, "tree.svg", b"svg", "image/svg+xml")
    worker.save(token, "scores.csv", b"a,b", "text/csv")
    worker.fail(token, "It broke.")
    return job_id


def test_a_retry_prints_the_new_id(turnout: Turnout, client: Client, failed: str) -> None:
    result = turnout("retry", failed)
    new = client.job(result.stdout.strip()).record
    assert (new.retry_of, new.tags, new.state) == (failed, {"a": "b"}, "queued")
    assert f"turnout watch {new.id}" in result.stderr
    assert f"retry of:    {failed}" in turnout("show", new.id).stdout


def test_a_retry_as_json(turnout: Turnout, failed: str) -> None:
    assert json.loads(turnout("retry", failed, "--json").stdout)["retry_of"] == failed


def test_pictures_are_listed(turnout: Turnout, failed: str) -> None:
    lines = turnout("plots", failed).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "roc.png", "tree.svg"]
    assert [plot["name"] for plot in json.loads(turnout("plots", failed, "--json").stdout)] == ["roc.png", "tree.svg"]
    assert not list(Path().glob("*.png"))


def test_pictures_are_kept(turnout: Turnout, failed: str) -> None:
    result = turnout("plots", failed, "-o", "deep/down")
    assert result.stdout.splitlines() == ["deep/down/roc.png", "deep/down/tree.svg"]
    assert Path("deep/down/roc.png").read_bytes() == b"png"
    assert json.loads(turnout("plots", failed, "-o", "two", "--json").stdout) == ["two/roc.png", "two/tree.svg"]


def test_a_job_without_pictures(turnout: Turnout) -> None:
    job_id = turnout("submit", "count_words", "--text", "one").stdout.strip()
    for arguments in (["plots", job_id], ["plots", job_id, "-o", "x"], ["artifacts", job_id]):
        result = turnout(*arguments)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Nothing to show.\n")
        assert json.loads(turnout(*arguments, "--json").stdout) == []
    assert json.loads(turnout("artifacts", "get", job_id, "--json").stdout) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["plots", "JOB", "-o", "taken"],
        ["plots", "JOB", "-o", "taken/below"],
        ["artifacts", "get", "JOB", "-o", "taken"],
        ["artifacts", "get", "JOB", "roc.png", "-o", "no/such/place"],
        ["files", "get", "FILE", "-o", "no/such/place"],
        ["artifacts", "get", "JOB", "roc.png", "-o", "/proc/none"],
    ],
)
def test_places_that_cannot_be_written(turnout: Turnout, failed: str, arguments: list[str]) -> None:
    Path("taken").write_text("I was here.")
    file_id = turnout("files", "upload", "taken").stdout.strip()
    result = turnout(*({"JOB": failed, "FILE": file_id}.get(word, word) for word in arguments))
    assert (result.exit_code, result.stdout) == (Exit.FAILED, "")
    assert f"{arguments[-1]} can't be written: " in result.stderr
    assert "Choose another place with -o." in result.stderr
    assert Path("taken").read_text() == "I was here."


def test_a_full_disk(turnout: Turnout, failed: str) -> None:
    result = turnout("artifacts", "get", failed, "roc.png", "-o", "/dev/full/x")
    assert (result.exit_code, "/dev/full/x can't be written: Not a directory" in result.stderr) == (Exit.FAILED, True)


def test_show_speaks_json(turnout: Turnout, failed: str) -> None:
    assert 'spec:        {"text": "one"}' in turnout("show", failed).stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe\xfa", "no JSON"),
        (b"[1]", "a spec is a JSON object"),
    ],
)
def test_a_spec_that_is_none(turnout: Turnout, content: bytes, said: str) -> None:
    Path("spec.json").write_bytes(content)
    result = turnout("submit", "count_words", "--spec", "spec.json")
    assert (result.exit_code, said in result.stderr) == (Exit.USAGE, True), result.stderr


def test_a_spec_in_another_encoding(turnout: Turnout, client: Client) -> None:
    Path("spec.json").write_bytes('{"text": "größer"}'.encode("utf-16"))
    job_id = turnout("submit", "count_words", "--spec", "spec.json").stdout.strip()
    assert client.job(job_id).record.spec == {"text": "größer"}
