"""A broker that is down or frozen keeps nobody from submitting, and a frozen worker's late words change nothing. The
broker, the API and the workers are processes of the test, so that nobody restarts them before their time."""

import signal
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.acceptance.ledger import Note
from tests.acceptance.once import assert_succeeded_once
from tests.acceptance.pieces import Pieces
from tests.acceptance.program import wait_until_gone
from tests.servers import ValkeyServer
from tests.waiting import until
from turnout import Client
from turnout.job import Job


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("broker"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def pieces(broker: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Pieces:
    return Pieces(tmp_path_factory.mktemp("pieces"), broker.url)


@pytest.fixture(scope="module")
def client(pieces: Pieces) -> Iterator[Client]:
    with pieces.serving() as client:
        yield client


@pytest.fixture(scope="module")
def worker(pieces: Pieces, client: Client) -> Iterator[psutil.Process]:
    with pieces.worker() as worker:
        yield worker


def down(broker: ValkeyServer) -> Callable[[], None]:
    broker.kill()
    return broker.start


def frozen(broker: ValkeyServer) -> Callable[[], None]:
    broker.signal(signal.SIGSTOP)
    return lambda: broker.signal(signal.SIGCONT)


@pytest.mark.parametrize("long", [False, True], ids=["for a moment", "for long"])
@pytest.mark.parametrize("away", [down, frozen])
def test_jobs_are_accepted_while_the_broker_is_away_and_run(
    pieces: Pieces,
    client: Client,
    worker: psutil.Process,
    broker: ValkeyServer,
    away: Callable[[ValkeyServer], Callable[[], None]],
    long: bool,
) -> None:
    """Idle slots find them in SQL."""
    name = f"{away.__name__}-{long}"
    assert_succeeded_once(pieces.submit(client, f"before-{name}"))
    come_back = away(broker)
    try:
        jobs = [pieces.submit(client, f"{name}-{number}") for number in range(5)]
        if long:
            assert [job.wait(90).state for job in jobs] == ["succeeded"] * 5
        late = pieces.submit(client, f"late-{name}")
    finally:
        come_back()
    for job in [*jobs, late]:
        assert len(assert_succeeded_once(job)) == 1
    pieces.ledger.assert_kept_once()


def test_what_a_frozen_worker_says_late_is_refused_and_what_it_runs_ends(
    pieces: Pieces, client: Client, worker: psutil.Process
) -> None:
    """One of its two jobs comes to its end while nobody listens, and its runner may serve again; the other goes on and
    on."""
    jobs = {"ends": pieces.submit(client, "ends", steps=30), "lasts": pieces.submit(client, "lasts", steps=3000)}
    first = {entry: wait_for_note(pieces, entry, 1, "begins").pid for entry in jobs}
    busy = psutil.Process(first["lasts"])
    pieces.freeze(worker)
    try:
        with pieces.worker():
            wait_for_note(pieces, "ends", 1, "ends")
            second = {entry: wait_for_note(pieces, entry, 2, "begins").pid for entry in jobs}
            worker.resume()
            wait_until_gone([busy])
            assert not set(first.values()) & set(second.values())
            attempts = assert_succeeded_once(jobs["ends"])
            jobs["lasts"].cancel()
            assert jobs["lasts"].wait(60).state == "cancelled"
    finally:
        worker.resume()
    assert [(attempt.outcome, attempt.reason) for attempt in attempts] == [
        ("lost", "worker_lost"),
        ("succeeded", "completed"),
    ]
    assert jobs["ends"].record.result is not None
    assert jobs["ends"].record.result["attempt"] == 2
    for job in jobs.values():
        assert_first_attempt_fell_silent(job)
    assert_succeeded_once(pieces.submit(client, "afterwards"))


def wait_for_note(pieces: Pieces, entry: str, attempt: int, what: str) -> Note:
    def noted() -> list[Note]:
        return [
            note for note in pieces.ledger.notes() if (note.entry, note.attempt, note.what) == (entry, attempt, what)
        ]

    (note,) = until(noted, 90, what=f"attempt {attempt} of {entry} {what}")
    return note


def assert_first_attempt_fell_silent(job: Job) -> None:
    events = job.events()
    given_away = next(event.seq for event in events if event.attempt == 2)
    assert max(event.seq for event in events if event.attempt == 1) < given_away
