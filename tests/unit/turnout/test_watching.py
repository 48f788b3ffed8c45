from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from tests.unit.api.serving import HandWorker
from turnout import Client
from turnout.cli.watching import _View
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


def test_progress_has_room_on_a_narrow_screen(view: _View) -> None:
    assert "Training: 3 of 10 models trained" in shown(view, 80)
