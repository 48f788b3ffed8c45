"""Every command with every exit code that it can end with. Scripts rely on them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.unit.api.serving import Background, HandWorker
from tests.waiting import until
from turnout import Client
from turnout.cli.app import cli
from turnout.cli.endings import Exit

Turnout = Callable[..., Result]

# JOB, FILE and PATH stand for what a test puts there.
WITHOUT_ID = [
    ("ls",),
    ("kinds",),
    ("queues",),
    ("workers",),
    ("webhook-secret",),
    ("files", "ls"),
    ("files", "upload", "PATH"),
    ("models", "ls"),
    ("models", "add", "words", "PATH"),
    ("submit", "count_words", "--text", "x"),
    ("submit", "count_words", "--text", "x", "--wait"),
    ("submit", "count_words", "--text", "x", "--watch"),
    ("doctor",),
]
WITH_JOB = [
    ("show", "JOB"),
    ("watch", "JOB"),
    ("wait", "JOB"),
    ("logs", "JOB"),
    ("logs", "-f", "JOB"),
    ("leaderboard", "JOB"),
    ("leaderboard", "--csv", "JOB"),
    ("attempts", "JOB"),
    ("artifacts", "JOB"),
    ("artifacts", "ls", "JOB"),
    ("artifacts", "get", "JOB"),
    ("artifacts", "get", "JOB", "nothing.txt"),
    ("plots", "JOB"),
    ("plots", "JOB", "-o", "here"),
    ("cancel", "JOB"),
    ("cancel", "JOB", "JOB"),
    ("stop", "JOB"),
    ("retry", "JOB"),
    ("retry", "JOB", "--wait"),
    ("open", "JOB"),
    ("compare", "JOB", "JOB"),
    ("export", "mlflow", "JOB"),
]
WITH_FILE = [
    ("files", "get", "FILE"),
    ("files", "rm", "FILE"),
    ("models", "show", "FILE"),
    ("models", "get", "FILE"),
    ("models", "rm", "FILE"),
    ("models", "compare", "FILE", "FILE"),
]
ALL = [*WITHOUT_ID, *WITH_JOB, *WITH_FILE]
FOLLOWING = [
    ("watch", "JOB"),
    ("watch", "JOB", "--json"),
    ("wait", "JOB"),
    ("wait", "JOB", "--json"),
    ("logs", "-f", "JOB"),
    ("logs", "-f", "JOB", "--json"),
]
SUBMITTING = [
    ("submit", "count_words", "--text", "x", "--wait"),
    ("submit", "count_words", "--text", "x", "--watch"),
    ("submit", "count_words", "--text", "x", "--wait", "--json"),
    ("retry", "JOB", "--wait"),
    ("retry", "JOB", "--watch"),
    ("retry", "JOB", "--watch", "--json"),
]
ENDS = [("succeeded", Exit.SUCCEEDED), ("failed", Exit.FAILED), ("cancelled", Exit.CANCELLED)]


def named(command: object) -> str:
    return " ".join(command) if isinstance(command, tuple) else str(command)


def filled(command: tuple[str, ...], **names: str) -> list[str]:
    Path("data.txt").write_text("a")
    return [{**names, "PATH": "data.txt"}.get(word, word) for word in command]


def ended(turnout: Turnout, worker: HandWorker, job_id: str, state: str) -> None:
    if state == "cancelled":
        assert turnout("cancel", job_id).exit_code == 0
        return
    token = worker.start(job_id)
    if state == "succeeded":
        worker.succeed(token, words=1)
    else:
        worker.fail(token, "It broke.")


@pytest.fixture
def job_id(turnout: Turnout) -> str:
    return turnout("submit", "count_words", "--text", "one").stdout.strip()


def test_no_command_is_left_out() -> None:
    known = {command for command in cli.list_commands(None) if command not in ("up", "worker")}  # type: ignore[arg-type]
    assert known == {command[0] for command in ALL}


@pytest.mark.parametrize("command", ALL, ids=named)
def test_a_key_that_is_not_known(turnout: Turnout, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("TURNOUT_API_KEY", "wrong")
    result = turnout(*filled(command, JOB="x", FILE="x"))
    assert result.exit_code == Exit.NOT_ALLOWED, result.output
    assert "API key" in result.output


@pytest.mark.parametrize("command", ALL, ids=named)
def test_nobody_answers(turnout: Turnout, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setattr("turnout.transport.PATIENCE_SECONDS", 0.0)
    result = turnout("--url", "http://127.0.0.1:9", *filled(command, JOB="x", FILE="x"))
    assert result.exit_code == Exit.UNREACHABLE, result.output
    assert "`turnout up`" in result.output


@pytest.mark.parametrize("command", ALL, ids=named)
def test_an_option_that_does_not_exist(turnout: Turnout, command: tuple[str, ...]) -> None:
    result = turnout(*filled(command, JOB="x", FILE="x"), "--colour", "red")
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert "colour" in result.stderr


@pytest.mark.parametrize("command", [*WITH_JOB, *WITH_FILE], ids=named)
def test_an_id_that_nobody_has(turnout: Turnout, command: tuple[str, ...]) -> None:
    result = turnout(*filled(command, JOB="nobody", FILE="nobody"))
    assert (result.exit_code, result.stdout) == (Exit.NOT_FOUND, ""), result.output
    assert "'nobody'" in result.stderr


def test_an_artifact_that_is_not_there(turnout: Turnout, job_id: str) -> None:
    result = turnout("artifacts", "get", job_id, "nothing.txt")
    assert (result.exit_code, "'nothing.txt'" in result.stderr) == (Exit.NOT_FOUND, True)


@pytest.mark.parametrize(("state", "code"), ENDS)
@pytest.mark.parametrize("command", FOLLOWING, ids=named)
def test_following_ends_as_the_job(
    turnout: Turnout, worker: HandWorker, job_id: str, command: tuple[str, ...], state: str, code: Exit
) -> None:
    ended(turnout, worker, job_id, state)
    assert turnout(*filled(command, JOB=job_id)).exit_code == code


@pytest.mark.parametrize(("state", "code"), ENDS)
@pytest.mark.parametrize("command", SUBMITTING, ids=named)
def test_submitting_and_waiting_ends_as_the_job(
    turnout: Turnout,
    worker: HandWorker,
    client: Client,
    job_id: str,
    command: tuple[str, ...],
    state: str,
    code: Exit,
) -> None:
    ended(turnout, worker, job_id, "failed")
    call = Background(lambda: turnout(*filled(command, JOB=job_id)))
    new_id = until(lambda: next((job.id for job in client.jobs(limit=1) if job.id != job_id), None))
    ended(turnout, worker, new_id, state)
    result = call.result()
    assert isinstance(result, Result)
    assert (result.exit_code, new_id in result.output) == (code, True)


@pytest.mark.parametrize("command", [*FOLLOWING, *SUBMITTING], ids=named)
def test_waiting_too_long(turnout: Turnout, worker: HandWorker, job_id: str, command: tuple[str, ...]) -> None:
    if command[0] == "retry":
        ended(turnout, worker, job_id, "failed")
    result = turnout(*filled(command, JOB=job_id), "--timeout", "0.05")
    assert (result.exit_code, "it goes on" in result.stderr) == (Exit.WAITED_TOO_LONG, True), result.output


@pytest.mark.parametrize("command", ALL, ids=named)
def test_ctrl_c(turnout: Turnout, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    def interrupted(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("turnout.driver.Driver.run", interrupted)
    monkeypatch.setattr("turnout.driver.Driver.iterate", interrupted)
    assert turnout(*filled(command, JOB="x", FILE="x")).exit_code == Exit.INTERRUPTED


@pytest.mark.parametrize(("command", "state"), [("cancel", "failed"), ("stop", "succeeded"), ("retry", "succeeded")])
def test_what_makes_no_sense_any_more(
    turnout: Turnout, worker: HandWorker, job_id: str, command: str, state: str
) -> None:
    ended(turnout, worker, job_id, state)
    result = turnout(command, job_id)
    assert (result.exit_code, result.stdout, f"is {state}" in result.stderr) == (Exit.FAILED, "", True)


def test_a_file_that_is_read(turnout: Turnout) -> None:
    Path("words.txt").write_text("three")
    job = json.loads(turnout("submit", "count_words", "--text", "x", "--dataset", "words.txt", "--json").stdout)
    result = turnout("files", "rm", job["spec"]["dataset"]["file"])
    assert (result.exit_code, job["id"] in result.stderr) == (Exit.FAILED, True)


@pytest.mark.parametrize("command", ["cancel", "stop"])
def test_one_that_fails_keeps_no_other_from_its_turn(turnout: Turnout, client: Client, command: str) -> None:
    first, last = (turnout("submit", "count_words", "--text", "x").stdout.strip() for _ in range(2))
    result = turnout(command, first, "nobody", last)
    assert result.exit_code == Exit.NOT_FOUND
    assert "nobody: There is no job 'nobody'" in result.stderr
    assert [client.job(one).state for one in (first, last)] == ["cancelled", "cancelled"]
    again = turnout(command, first, "nobody", "--json")
    assert (again.exit_code, json.loads(again.stdout)) == (Exit.FAILED, [])


@pytest.mark.parametrize("command", ALL, ids=named)
def test_help_needs_no_server(turnout: Turnout, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setattr("turnout.transport.PATIENCE_SECONDS", 0.0)
    words = [word for word in command[:2] if word.islower() and not word.startswith("-")]
    if words[0] == "submit":
        words = words[:1]
    result = turnout("--url", "http://127.0.0.1:9", *words, "--help")
    assert (result.exit_code, "Usage: turnout" in result.stdout) == (0, True)
