"""A whole API over an SQLite file, without a broker, for tests of the API, the SDK and the command line."""

import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import update

from api.app import make_app
from api.hinter import Hinter
from api.job_reader import JobReader
from api.services import Services
from api.settings import ApiSettings
from api.tailer import Tailer
from db.attempt_writes import Board, NewArtifact, Progress, add_artifact, record, replace_leaderboard
from db.claims import Claimant, Token, claim
from db.clock import db_now
from db.engine import Database
from db.events import NewEvent
from db.finish import fail, succeed
from db.owners import make_key
from db.rows import WorkerRow
from db.schema import upgrade
from db.states import EventType, Reason
from db.store import Store
from db.workers import register
from tasks.broker import BrokerUnavailable
from tasks.ends import EndListener
from tasks.registry import load_kinds
from tasks.teller import Teller

_KINDS = ("add_numbers", "count_words")


@dataclass
class RecordingSender:
    """Stands for the broker: keeps what was sent, or refuses it."""

    available: bool = True
    refused: int = 0
    sent: list[tuple[str, str, str]] = field(default_factory=list)

    def send(self, queue: str, hints: Sequence[tuple[str, str]]) -> None:
        if not self.available:
            self.refused += 1
            raise BrokerUnavailable("refused")
        self.sent += [(queue, job_id, kind) for job_id, kind in hints]


@dataclass
class RecordingBroadcaster:
    """Stands for the broker: keeps who was woken."""

    woken: list[str] = field(default_factory=list)

    def send(self, job_ids: Sequence[str]) -> None:
        self.woken += job_ids


@dataclass(frozen=True)
class Keys:
    """API keys: two ordinary owners and an admin."""

    ann: str
    bob: str
    admin: str


class HandWorker:
    """Does by hand what a worker does with a job."""

    def __init__(self, database: Database, store: Store, queue: str = "cpu", kinds: Sequence[str] = _KINDS) -> None:
        self._database, self._store = database, store
        with database.write() as session:
            worker_id = register(
                session, name=f"{queue}@here", hostname=socket.gethostname(), pid=1, queue=queue, slots=2, kinds=kinds
            )
            # It sends no sign of life, and a slow machine's test takes longer than a worker may be silent.
            seen = update(WorkerRow).where(WorkerRow.id == worker_id).values(last_seen_at=db_now(timedelta(hours=1)))
            session.execute(seen)
        self._claimant = Claimant(worker_id, f"{queue}@here")

    def start(self, job_id: str) -> Token:
        with self._database.write() as session:
            return Token(job_id, claim(session, [job_id], self._claimant)[0].attempt)

    def report(self, token: Token, fraction: float, message: str) -> None:
        data = {"fraction": fraction, "message": message, "eta_seconds": 5.0}
        progress = Progress(fraction, message, 5.0)
        with self._database.write() as session:
            record(session, token, [NewEvent(EventType.PROGRESS, data)], progress)

    def log(self, token: Token, message: str, level: str = "info") -> None:
        with self._database.write() as session:
            record(session, token, [NewEvent(EventType.LOG, {"message": message, "level": level})])

    def board(self, token: Token, *models: tuple[str, float], complete: bool = False) -> None:
        entries = [(model, model.split("_")[0], {"auc": auc, "logloss": 1 - auc}) for model, auc in models]
        with self._database.write() as session:
            replace_leaderboard(session, token, Board(1, "auc", complete, entries))

    def save(self, token: Token, name: str, content: bytes, media_type: str = "text/plain") -> None:
        key = f"jobs/{token.job_id}/{token.attempt}/{name}"
        with self._store.writing(key) as upload:
            upload.write(content)
        with self._database.write() as session:
            add_artifact(session, token, NewArtifact(name, media_type, key=key, **vars(upload.stored)))

    def succeed(self, token: Token, **result: object) -> None:
        with self._database.write() as session:
            succeed(session, token, result, {"peak_memory_bytes": 1000})

    def fail(self, token: Token, message: str) -> None:
        with self._database.write() as session:
            fail(session, token, reason=Reason.INVALID_INPUT, message=message, retryable=False, metrics={})


@dataclass(frozen=True)
class Serving:
    """The app with everything it was made of."""

    services: Services
    keys: Keys
    sender: RecordingSender
    broadcaster: RecordingBroadcaster

    @property
    def worker(self) -> HandWorker:
        return HandWorker(self.services.database, self.services.store)

    def make_app(self):  # type: ignore[no-untyped-def]
        return make_app(self.services)


@cache
def _migrated() -> bytes:
    """An empty database; migrating one for each test would take most of the tests' time."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "turnout.db"
        database = Database(f"sqlite:///{path}")
        upgrade(database)
        database.dispose()
        return path.read_bytes()


def make_serving(home: Path, **settings: object) -> Serving:
    path = home / "turnout.db"
    if not path.exists():
        path.write_bytes(_migrated())
    database = Database(f"sqlite:///{path}")
    with database.write() as session:
        keys = Keys(
            ann=make_key(session, owner="ann", name="test"),
            bob=make_key(session, owner="bob", name="test"),
            admin=make_key(session, owner="root", name="test", admin=True),
        )
    sender, broadcaster = RecordingSender(), RecordingBroadcaster()
    services = Services(
        settings=ApiSettings(min_free_bytes=0, keep_alive=timedelta(milliseconds=50)).model_copy(update=settings),
        database=database,
        store=Store(home / "store"),
        kinds=load_kinds(("tests.unit.api.kinds",)),
        hinter=Hinter(database, sender, retry_seconds=0.05),
        waker=Teller(broadcaster, "wakes"),
        # Polls alone.
        end_listener=EndListener("memory://"),
        tailer=Tailer(database),
        job_reader=JobReader(database),
    )
    return Serving(services, keys, sender, broadcaster)


class Background:
    """Runs a function in a thread; ``result()`` waits for what it returns."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._outcome: list[object] = []
        self._thread = threading.Thread(target=lambda: self._outcome.append(call()), daemon=True)
        self._thread.start()

    def result(self) -> object:
        self._thread.join(timeout=15)
        assert self._outcome, "the call did not return"
        return self._outcome[0]
