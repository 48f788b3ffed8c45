import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.unit.api.serving import Background, HandWorker
from tests.unit.turnout.conftest import Server
from tests.waiting import until
from turnout import Client, ServerUnreachable
from turnout.cli.endings import Exit

Turnout = Callable[..., Result]


def submitted(turnout: Turnout, *more: str) -> str:
    result = turnout("submit", "count_words", "--text", "one two", *more)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_submit_prints_the_id_and_what_next(turnout: Turnout, client: Client) -> None:
    result = turnout("submit", "count_words", "--text", "one two", "--priority", "9", "--tag", "a=b")
    job = client.job(result.stdout.strip())
    assert (job.record.priority, job.record.tags, job.record.spec) == (9, {"a": "b"}, {"text": "one two"})
    assert f"turnout watch {job.id}" in result.stderr


def test_a_kinds_help_is_made_from_its_schema(turnout: Turnout) -> None:
    listing = turnout("submit", "--help").output
    assert "count_words" in listing
    assert "Count the words of texts." in listing
    text = turnout("submit", "count_words", "--help").output
    for expected in ("--text TEXT", "[required]", "--dataset PATH|file:ID|job:ID/NAME", "--ratio NUMBER", "fast|exact"):
        assert expected in text
    assert "[default: 0.5]" in text


LIMITS = {"longest": [4, 5], "some": [1]}


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["--ratio", "2"], "ratio", 2),
        (["--explain", "false"], "explain", False),
        (["--explain"], "explain", True),
        (["--columns", "a, b"], "columns", ["a", "b"]),
        (["--columns", '["a,b"]'], "columns", ["a,b"]),
        (["--columns", "a", "--columns", "b"], "columns", ["a", "b"]),
        (["--limits", '{"longest": 3}'], "limits", {"longest": 3}),
        (["--limits", "longest=3"], "limits", {"longest": 3}),
        (["--limits", "longest=3", "--limits", "sort=a=b"], "limits", {"longest": 3, "sort": "a=b"}),
        (["--limits", '{"longest": 3, "some": [1]}', "--limits", "longest=[4, 5]"], "limits", LIMITS),
        (["--style", "exact"], "style", "exact"),
        (["--dataset", "job:J/N"], "dataset", {"job": "J", "artifact": "N"}),
    ],
)
def test_options_become_the_spec(
    turnout: Turnout, monkeypatch: pytest.MonkeyPatch, arguments: list[str], field: str, value: object
) -> None:
    specs = []

    def note(_self: Client, _kind: str, spec: dict[str, object], **_options: object) -> object:
        specs.append(spec)
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "submit", note)
    turnout("submit", "count_words", "--text", "x", *arguments)
    assert specs == [{"text": "x", field: value}]


def test_dashes_are_as_good_as_underscores(turnout: Turnout, client: Client) -> None:
    assert client.job(submitted(turnout, "--max-attempts", "2")).record.max_attempts == 2


def test_a_local_file_is_uploaded(turnout: Turnout, client: Client) -> None:
    Path("words.txt").write_text("three")
    result = turnout("submit", "count_words", "--text", "x", "--dataset", "words.txt", "--json")
    file_id = json.loads(result.stdout)["spec"]["dataset"]["file"]
    assert client.file(file_id).name == "words.txt"
    again = submitted(turnout, "--dataset", f"file:{file_id}")
    assert client.job(again).record.spec["dataset"] == {"file": file_id}


def test_a_spec_may_come_from_a_file_or_stdin(turnout: Turnout, client: Client) -> None:
    Path("spec.json").write_text('{"text": "from a file", "ratio": 1}')
    job = client.job(turnout("submit", "count_words", "--spec", "spec.json", "--ratio", "3").stdout.strip())
    assert job.record.spec == {"text": "from a file", "ratio": 3}
    job = client.job(turnout("submit", "count_words", "--spec", "-", text='{"text": "typed"}').stdout.strip())
    assert job.record.spec == {"text": "typed"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["submit", "dance"], "dance"),
        (["submit", "count_words"], "spec.text"),
        (["submit", "count_words", "--colour", "red"], "--colour"),
        (["submit", "count_words", "--text", "x", "--ratio", "much"], "--ratio"),
        (["submit", "count_words", "--text", "x", "--dataset", "nowhere.csv"], "nowhere.csv"),
        (["submit", "count_words", "--text", "x", "--style", "slow"], "spec.style"),
        (["submit", "count_words", "--spec", "nowhere.json"], "nowhere.json"),
        (["submit", "count_words", "--text", "x", "--tag", "novalue"], "NAME=VALUE"),
        (["submit", "count_words", "--text", "x", "--run_at", "soon"], "--run_at"),
        (["submit", "count_words", "--text", "x", "--ratio", "nan"], "--ratio"),
        (["submit", "count_words", "--text", "x", "--limits", '{"longest": NaN}'], "JSON"),
        (["submit", "count_words", "--text", "x", "--limits", "longest"], "'longest' is not JSON|NAME=VALUE"),
        (["submit", "count_words", "--text", "x", "--limits", "=3"], "'=3' is not JSON|NAME=VALUE"),
        (["submit", "count_words", "--text", "x", "--limits", "{longest: 3}"], "is not JSON|NAME=VALUE"),
        (["submit", "count_words", "--text", "x", "--deadline_seconds", "nan"], "--deadline_seconds"),
        (["submit", "count_words", "--text", "x", "--timeout", "inf"], "--timeout"),
        (["submit", "count_words", "--text", "x", "--idempotency_key", "ü"], "idempotency key"),
        (["submit", "count_words", "--text", "x", "--run_at", "9999-12-31T23:59:59-01:00"], "run_at"),
        (["wait", "x", "--timeout", "nan"], "--timeout"),
        (["--url", "http://[::1", "ls"], "no address"),
        (["ls", "--tag", "foo"], "NAME=VALUE"),
        (["show", ""], "empty"),
        (["ls", "--state", "lazy"], "lazy"),
    ],
)
def test_usage_errors_end_with_2(turnout: Turnout, arguments: list[str], said: str) -> None:
    result = turnout(*arguments)
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert said in result.stderr


def test_wait_ends_as_the_job_did(turnout: Turnout, worker: HandWorker) -> None:
    good, bad, gone = (submitted(turnout) for _ in range(3))
    worker.succeed(worker.start(good))
    worker.fail(worker.start(bad), "No such column.")
    assert turnout("cancel", gone).stdout == f"{gone} cancelled\n"
    assert turnout("wait", good).exit_code == Exit.SUCCEEDED
    failed = turnout("wait", bad)
    assert (failed.exit_code, "No such column." in failed.stdout) == (Exit.FAILED, True)
    assert turnout("wait", gone).exit_code == Exit.CANCELLED
    assert turnout("wait", good, gone, bad).exit_code == Exit.CANCELLED
    assert [job["state"] for job in json.loads(turnout("wait", good, bad, "--json").stdout)] == ["succeeded", "failed"]


def test_the_other_exit_codes(turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = submitted(turnout)
    assert turnout("wait", job_id, "--timeout", "0").exit_code == Exit.WAITED_TOO_LONG
    assert turnout("show", "nobody").exit_code == Exit.NOT_FOUND
    assert turnout("stop", job_id).exit_code == 0
    again = turnout("stop", job_id)
    assert (again.exit_code, "cancelled already" in again.stderr) == (Exit.FAILED, True)
    monkeypatch.setenv("TURNOUT_API_KEY", "wrong")
    assert turnout("ls").exit_code == Exit.NOT_ALLOWED
    monkeypatch.delenv("TURNOUT_API_KEY")
    without = turnout("ls")
    assert (without.exit_code, "TURNOUT_API_KEY" in without.stderr) == (Exit.NOT_ALLOWED, True)
    monkeypatch.setattr("turnout.transport._FIRST_PAUSE_SECONDS", 100.0)
    away = turnout("--url", "http://127.0.0.1:9", "ls")
    assert (away.exit_code, "turnout up" in away.stderr) == (Exit.UNREACHABLE, True)


def test_submit_and_wait(turnout: Turnout, worker: HandWorker, client: Client) -> None:
    call = Background(lambda: turnout("submit", "count_words", "--text", "later", "--wait", "--json"))
    until(lambda: next(client.jobs()).record.spec["text"] == "later")
    worker.fail(worker.start(next(client.jobs()).id), "It broke.")
    result = call.result()
    assert isinstance(result, Result)
    assert (result.exit_code, json.loads(result.stdout)["state"]) == (Exit.FAILED, "failed")


@pytest.mark.parametrize("how", ["--wait", "--watch"])
def test_whoever_waits_too_long_knows_the_job(turnout: Turnout, client: Client, how: str) -> None:
    result = turnout("submit", "count_words", "--text", "slow", how, "--timeout", "0.05")
    job_id = next(client.jobs()).id
    assert (result.exit_code, f"Submitted {job_id}" in result.stderr) == (Exit.WAITED_TOO_LONG, True)
    assert f"turnout watch {job_id}" in result.stderr


def test_errors_after_the_submission_name_the_job(
    turnout: Turnout, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: object) -> None:
        raise ServerUnreachable("It went [away] \\[/].")

    monkeypatch.setattr("turnout.job.Job.wait", away)
    result = turnout("submit", "count_words", "--text", "x", "--wait")
    assert (result.exit_code, "It went [away] \\[/]." in result.stderr) == (Exit.UNREACHABLE, True)
    assert f"turnout watch {next(client.jobs()).id}" in result.stderr


def test_watch_tells_what_happens(turnout: Turnout, worker: HandWorker) -> None:
    job_id = submitted(turnout)
    token = worker.start(job_id)
    worker.report(token, 0.25, "training GBM")
    worker.log(token, "12 rows were dropped")
    worker.board(token, ("GBM_2", 0.91234), ("GLM_1", 0.8), complete=True)
    worker.save(token, "roc.png", b"png")
    worker.succeed(token)
    result = turnout("watch", job_id)
    assert result.exit_code == 0
    for expected in (
        "running, attempt 1",
        "25 % training GBM",
        "12 rows were dropped",
        "2 models, best GBM_2",
        "roc.png",
    ):
        assert expected in result.stdout
    assert "0.9123" in result.stdout
    assert "succeeded" in result.stdout.splitlines()[-1]
    events = [json.loads(line) for line in turnout("watch", job_id, "--json").stdout.splitlines()]
    assert events[-1]["type"] == "final"


def test_ctrl_c_detaches_and_says_how_to_return(turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    job_id = submitted(turnout)
    monkeypatch.setattr("turnout.cli.jobs.watch", interrupted)
    monkeypatch.setattr("turnout.job.Job.wait", interrupted)
    for command in ("watch", "wait"):
        result = turnout(command, job_id)
        assert result.exit_code == Exit.INTERRUPTED
        assert f"turnout watch {job_id}" in result.stderr
    assert turnout("show", job_id, "--json").stdout.find('"queued"') > 0


def test_logs(turnout: Turnout, worker: HandWorker) -> None:
    job_id = submitted(turnout)
    token = worker.start(job_id)
    worker.log(token, "first")
    assert turnout("logs", job_id).stdout.rstrip().endswith("first")
    worker.fail(token, "It broke.")
    followed = turnout("logs", "-f", job_id)
    assert (followed.exit_code, followed.stdout.count("\n")) == (Exit.FAILED, 1)
    assert "It broke." in followed.stderr
    assert turnout("logs", "--all", job_id).stdout.count("\n") == 4


def test_a_jobs_parts(turnout: Turnout, worker: HandWorker) -> None:
    job_id = submitted(turnout)
    token = worker.start(job_id)
    assert "no model yet" in turnout("leaderboard", job_id).stderr
    worker.board(token, ("GBM_2", 0.91234), ("GLM_1", 0.8))
    worker.save(token, "a.txt", b"aa")
    worker.save(token, "b.txt", b"bb")
    assert turnout("leaderboard", job_id).stdout.splitlines()[0].split() == ["model_id", "auc", "logloss"]
    assert turnout("leaderboard", job_id, "--csv").stdout.splitlines()[0] == "rank,model_id,algo,auc,logloss"
    assert json.loads(turnout("leaderboard", job_id, "--json").stdout)["rows"][1]["model_id"] == "GLM_1"
    assert turnout("artifacts", job_id).stdout.splitlines()[1].split() == ["a.txt", "text/plain", "2", "B"]
    assert turnout("artifacts", "get", job_id, "a.txt").stdout == "a.txt\n"
    assert turnout("artifacts", "get", job_id, "-o", "all").exit_code == 0
    assert sorted(path.read_text() for path in Path("all").iterdir()) == ["aa", "bb"]
    assert "cpu@here" in turnout("attempts", job_id).stdout
    assert "cpu@here" in turnout("show", job_id).stdout
    assert job_id in turnout("ls", "--state", "running", "-n", "5").stdout


def test_a_file_is_shown_with_its_columns(turnout: Turnout) -> None:
    Path("data.csv").write_text("size;day;who\n1;2026-01-02;ann\n;2026-01-03;bob\n")
    file_id = turnout("files", "upload", "data.csv").stdout.strip()
    shown = turnout("files", "show", file_id).stdout
    assert "CSV, utf-8, separator semicolon, 2 rows, 3 columns" in shown
    assert ["size", "numeric", "50.0%", "1"] in [line.split() for line in shown.splitlines()]
    assert "Nearly every row has a text of its own" in shown
    types = turnout("files", "show", file_id, "--types").stdout
    assert json.loads(types) == {"size": "numeric", "day": "time", "who": "string"}
    assert json.loads(turnout("files", "show", file_id, "--json").stdout)["table"]["rows"] == 2
    Path("notes.md").write_text("words")
    other = turnout("files", "upload", "notes.md").stdout.strip()
    assert "table" not in turnout("files", "show", other).stdout


def test_files(turnout: Turnout) -> None:
    Path("data.csv").write_text("a,b\n")
    file_id = turnout("files", "upload", "data.csv").stdout.strip()
    assert "data.csv" in turnout("files", "ls").stdout
    assert turnout("files", "get", file_id, "-o", "copy.csv").stdout == "copy.csv\n"
    assert Path("copy.csv").read_text() == "a,b\n"
    nowhere = turnout("files", "get", file_id, "-o", "no/such/place")
    assert (nowhere.exit_code, "no/such/place" in nowhere.stderr) == (Exit.FAILED, True)
    assert turnout("files", "rm", file_id).exit_code == 0
    assert turnout("files", "get", file_id).exit_code == Exit.NOT_FOUND


@pytest.mark.parametrize("command", ["kinds", "queues", "workers", "ls"])
def test_lists_as_tables_and_json(turnout: Turnout, worker: HandWorker, command: str) -> None:
    submitted(turnout)
    assert len(turnout(command).stdout.splitlines()) > 1
    assert isinstance(json.loads(turnout(command, "--json").stdout)[0], dict)


def test_open_prints_the_address(turnout: Turnout, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert turnout("open").stdout == f"{server.url}/docs\n"
    assert opened == [f"{server.url}/docs"]
