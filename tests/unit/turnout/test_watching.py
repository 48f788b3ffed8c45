import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from tests.unit.api.serving import HandWorker
from turnout import Client, Job, ServerUnreachable, WaitedTooLong
from turnout.cli.watching import _View, event_line, watch
from turnout.records import Event


def event(kind: str, **data: Any) -> Event:
    return Event(seq=1, type=kind, attempt=1, created_at=datetime.now(UTC), data=data)


@pytest.fixture
def view(client: Client, worker: HandWorker) -> _View:
    job = client.submit("count_words", {"text": "one"})
    worker.report(worker.start(job.id), 0.5, "Training: 3 of 10 models trained; 24 of at most 100 s.")
    job.refresh()
    return _View(job, Console(width=80))


def shown(view: _View, width: int) -> str:
    console = Console(width=width, height=40)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_a_log_line_goes_with_the_work_it_tells_of(view: _View) -> None:
    view.note(event("progress", message="Training: 3 of 10."))
    view.note(event("log", message="The fourth began."))
    view.note(event("progress", message="Training: 4 of 10."))
    assert "The fourth began." in shown(view, 80)
    view.note(event("progress", message="Explaining: the first part."))
    assert "The fourth began." not in shown(view, 80)


def test_what_a_library_says_of_its_inner_workings_is_for_who_asks(
    view: _View, client: Client, worker: HandWorker, turnout: Callable[..., Result]
) -> None:
    view.note(event("log", message="Work allocated.", level="debug"))
    assert "Work allocated." not in shown(view, 80)
    job = client.submit("count_words", {"text": "one"})
    token = worker.start(job.id)
    worker.log(token, "The first began.")
    worker.log(token, "Work allocated.", level="debug")
    worker.succeed(token)
    for arguments in (["watch"], ["logs"], ["logs", "-f"]):
        said = turnout(*arguments, job.id).stdout
        assert ("The first began." in said, "Work allocated." in said) == (True, False)
    assert "debug: Work allocated." in turnout("logs", "--all", job.id).stdout
    assert "Work allocated." in turnout("logs", "--json", job.id).stdout


def test_a_sentence_ends_once() -> None:
    assert event_line(event("progress", fraction=0.5, message="Training.", eta_seconds=2)).endswith(
        " 50 % Training, about 2 s left"
    )
    assert event_line(event("progress", fraction=0.5, message="Training.")).endswith(" 50 % Training.")
    assert event_line(event("leaderboard", models=1, leader="GLM_1")).endswith("leaderboard: 1 model, best GLM_1")


def test_progress_has_room_on_a_narrow_screen(view: _View) -> None:
    assert "Training: 3 of 10 models trained" in shown(view, 80)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_server_that_is_away_for_a_while(
    client: Client, worker: HandWorker, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    job = client.submit("count_words", {"text": "one"})
    token = worker.start(job.id)
    worker.board(token, ("GBM_2", 0.91234), complete=True)
    worker.succeed(token)

    def away(_job: Job) -> None:
        raise ServerUnreachable("away")

    monkeypatch.setattr(Job, "refresh", away)
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    assert watch(job, console).state == "succeeded"
    assert "GBM_2" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("terminal", [True, False])
def test_an_error_in_the_reading_thread_ends_the_watch(
    client: Client, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    def broken(_job: Job) -> Iterator[Event]:
        raise ValueError("not an event")
        yield

    monkeypatch.setattr(Job, "stream", broken)
    with pytest.raises(ValueError, match="not an event"):
        watch(client.submit("count_words", {"text": "one"}), Console(force_terminal=terminal, file=io.StringIO()))


@pytest.mark.parametrize("terminal", [True, False])
def test_watching_has_an_end(client: Client, terminal: bool) -> None:
    job = client.submit("count_words", {"text": "one"})
    with pytest.raises(WaitedTooLong, match=job.id):
        watch(job, Console(force_terminal=terminal, file=io.StringIO()), timeout_seconds=0.05)
