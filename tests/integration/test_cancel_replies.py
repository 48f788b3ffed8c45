"""What Revoke and Terminate answer, and that they don't keep Celery's main thread waiting."""

import threading
from collections.abc import Callable, Mapping

import pytest
from celery.worker.control import Panel
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs

from db.claims import Token
from db.engine import Database
from db.states import Reason, State, StopRequest
from tests.integration.rows import ask, job_row, wait_for
from tests.waiting import until
from workers import control
from workers.control import RemoteControl

UNKNOWN = "01a00000-0000-7000-8000-000000000000"

Command = Callable[..., Mapping[str, str]]


@pytest.fixture
def woken() -> list[str]:
    return []


@pytest.fixture
def revoke(database: Database, woken: list[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr(Panel, "data", dict(Panel.data))
    monkeypatch.setattr(control, "_ANSWER_SECONDS", 30)
    RemoteControl(database, woken.extend).install()
    return lambda task_id, **more: Panel.data["revoke"](None, task_id=task_id, **more)


def test_one_that_is_there(
    database: Database,
    submitted: Callable[..., str],
    started: Callable[..., Token],
    revoke: Command,
    woken: list[str],
) -> None:
    queued, running = submitted(), started().job_id
    assert revoke(queued) == {"ok": f"{queued} is cancelled"}
    assert revoke(running, terminate=True, signal="SIGKILL") == {"ok": f"{running} was asked to end"}
    assert revoke(running) == {"ok": f"{running} was asked to end"}
    assert job_row(database, queued).reason == Reason.CANCELLED_BY_USER
    assert job_row(database, running).stop_request == StopRequest.CANCEL
    assert set(woken) == {queued, running}


def test_one_that_has_ended(database: Database, submitted: Callable[..., str], revoke: Command) -> None:
    job_id = submitted()
    ask(database, job_id, StopRequest.STOP)
    assert revoke(job_id) == {"error": f"{job_id} is cancelled already"}
    assert job_row(database, job_id).reason == Reason.STOPPED_BY_USER


@pytest.mark.parametrize(
    ("task_id", "reply"),
    [
        (UNKNOWN, f"there is no job {UNKNOWN}"),
        ("'; DROP\0", "\"'; DROP\\x00\" is no job's id"),
        ("x" * 65, f"'{'x' * 65}' is no job's id"),
        ([], "no job's id was given"),
        ([7, None], "7 is no job's id; None is no job's id"),
    ],
)
def test_one_that_is_not_there(revoke: Command, task_id: object, reply: str) -> None:
    assert revoke(task_id) == {"error": reply}


def test_several(submitted: Callable[..., str], revoke: Command) -> None:
    job_id = submitted()
    assert revoke([UNKNOWN, job_id, job_id]) == {"ok": f"{job_id} is cancelled; there is no job {UNKNOWN}"}


def test_a_database_that_does_not_answer_is_not_waited_for(
    database: Database, submitted: Callable[..., str], revoke: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_ANSWER_SECONDS", 0.05)
    first, second = submitted(), submitted()
    with database.writing_engine.connect() as connection:
        # Nobody else can lock or change these rows meanwhile.
        connection.exec_driver_sql("UPDATE jobs SET tags = tags")
        for job_id in (first, second):
            assert "will be cancelled when it does" in revoke(job_id)["ok"]
        connection.rollback()
    for job_id in (first, second):
        assert wait_for(database, job_id).state == State.CANCELLED


def test_what_breaks_after_the_answer_is_logged(
    database: Database, submitted: Callable[..., str], revoke: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_ANSWER_SECONDS", 0.05)
    answered = threading.Event()

    def break_later(*_: object) -> State:
        assert answered.wait(30)
        raise IntegrityError("UPDATE", None, Exception())

    monkeypatch.setattr(control, "request_stop", break_later)
    with capture_logs() as logs:
        for _ in range(2):
            assert "will be cancelled when it does" in revoke(submitted())["ok"]
        answered.set()
        until(lambda: [line["event"] for line in logs].count("cancel_broke") == 2, what="both in the log")
