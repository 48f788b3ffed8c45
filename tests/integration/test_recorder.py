from collections.abc import Callable

import pytest

from db.attempt_writes import Board, Progress
from db.claims import Fenced, Token
from db.engine import Database
from db.events import NewEvent
from db.finish import hand_back
from db.jobs import leaderboard_of
from db.states import EventType
from tests.integration.rows import event_types, job_row
from tests.waiting import until
from workers.recorder import Recorder


class Heard(list[Token]):
    """Collects the tokens that a recorder tells of."""


@pytest.fixture
def fenced() -> Heard:
    return Heard()


@pytest.fixture
def refused() -> Heard:
    return Heard()


@pytest.fixture
def recorder(database: Database, fenced: Heard, refused: Heard) -> Recorder:
    recorder = Recorder(database, on_fenced=fenced.append, on_refused=refused.append)
    recorder.start()
    return recorder


def line(text: str) -> NewEvent:
    return NewEvent(EventType.LOG, {"level": "info", "message": text})


def test_reports_are_written_in_order(database: Database, recorder: Recorder, started: Callable[..., Token]) -> None:
    token = started()
    for number in range(100):
        recorder.add(token, line(str(number)))
    recorder.add(token, progress=Progress(0.5, "half", 1.0), board=Board(1, "auc", False, [("m", "GBM", {"auc": 0.9})]))
    until(lambda: job_row(database, token.job_id).progress_fraction == 0.5)
    assert event_types(database, token.job_id) == ["state", "state", *["log"] * 100, "progress", "leaderboard"]
    with database.read() as session:
        assert leaderboard_of(session, token.job_id) is not None


def test_an_ended_attempt_s_reports_are_dropped_and_told_of(
    database: Database, recorder: Recorder, started: Callable[..., Token], fenced: Heard
) -> None:
    ended, running = started(), started()
    with database.write() as session:
        hand_back(session, ended)
    recorder.add(ended, line("late"))
    recorder.add(running, line("in time"))
    until(lambda: fenced == [ended])
    until(lambda: event_types(database, running.job_id)[-1] == "log")
    assert "log" not in event_types(database, ended.job_id)


def test_what_the_database_refuses_spoils_nobody_else_s_reports(
    database: Database, recorder: Recorder, started: Callable[..., Token], refused: Heard
) -> None:
    bad, good = started(), started()
    recorder.add(bad, line("half a character: \udcff"), progress=Progress(0.1, "\udcff", None))
    recorder.add(good, line("whole"))
    until(lambda: refused == [bad])
    until(lambda: event_types(database, good.job_id)[-1] == "log")


def test_withdrawn_reports_are_written_with_the_ending(
    database: Database, recorder: Recorder, started: Callable[..., Token]
) -> None:
    token = started()
    recorder.add(token, line("last words"))
    reports = recorder.withdraw(token)
    assert reports is not None

    def fail() -> None:
        with database.write() as session:
            reports.write(session, token)
            raise Fenced

    # The first tries fail after the reports were written; nothing of them may be lost or doubled.
    for _ in range(2):
        with pytest.raises(Fenced):
            fail()
    with database.write() as session:
        reports.write(session, token)
    assert event_types(database, token.job_id).count("log") == 1


def test_reports_that_are_put_back_are_told_once_and_first(
    database: Database, started: Callable[..., Token], fenced: Heard, refused: Heard
) -> None:
    token, recorder = started(), Recorder(database, on_fenced=fenced.append, on_refused=refused.append)
    recorder.add(token, progress=Progress(0.5, "half", 1.0), board=Board(1, "auc", False, []))
    recorder.add(token, line("first"))
    withdrawn = recorder.withdraw(token)
    assert withdrawn is not None
    recorder.put_back(token, withdrawn)
    recorder.add(token, line("second"))
    again = recorder.withdraw(token)
    assert again is not None
    assert [event.type for event in again.events] == [EventType.PROGRESS, EventType.LOG, EventType.LOG]
    assert again.board is not None
