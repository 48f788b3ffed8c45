"""A migrated database of each test's own, and real servers."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url

from db import owners
from db.claims import Claimant, Token, claim
from db.engine import Database
from db.hints import next_hints
from db.ids import new_id
from db.schema import upgrade
from db.submit import NewJob, submit
from db.workers import register
from tasks.hints import HintSender
from tests.integration.racers import Processes
from tests.integration.worker_process import Workers
from tests.servers import PostgresServer, ValkeyServer, postgres_version

Queued = Callable[..., str]

# Another server that the tests may make databases on, as in postgresql+psycopg://postgres@127.0.0.1:5432/postgres.
_POSTGRES_URL = "TURNOUT_TEST_POSTGRES_URL"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is about processes alone runs on SQLite only."""
    left = [item for item in items if not (item.get_closest_marker("processes_alone") and _wants_postgres(item))]
    config.hook.pytest_deselected(items=[item for item in items if item not in left])
    items[:] = left


def _wants_postgres(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("database") == "postgres"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which databases were tested; at the end, where a quiet run says it too."""
    terminalreporter.write_line(f"databases: SQLite {sqlite3.sqlite_version}, {_postgres_in_words()}")


def _postgres_in_words() -> str:
    url = os.environ.get(_POSTGRES_URL)
    if url is None:
        return f"{postgres_version()} (started by the tests)"
    engine = create_engine(url)
    with engine.connect() as connection:
        version = connection.exec_driver_sql("SHOW server_version").scalar_one()
    engine.dispose()
    return f"PostgreSQL {version} (named by {_POSTGRES_URL})"


class PostgresDatabases:
    """Makes databases that are migrated already; migrating one for each test would take most of the tests' time."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        # AUTOCOMMIT, since databases can't be made in a transaction.
        self._server = create_engine(self._url, isolation_level="AUTOCOMMIT")
        self._migrated = self.make_empty()
        database = Database(self._migrated)
        upgrade(database)
        database.dispose()

    def make(self) -> URL:
        return self._make(f"TEMPLATE {self._migrated.database}")

    def make_empty(self) -> URL:
        return self._make("")

    def drop(self, url: URL) -> None:
        self._execute(f"DROP DATABASE {url.database} WITH (FORCE)")

    def close(self) -> None:
        self.drop(self._migrated)
        self._server.dispose()

    def _make(self, like: str) -> URL:
        name = f"turnout_test_{new_id().replace('-', '')}"
        self._execute(f"CREATE DATABASE {name} {like}")
        return self._url.set(database=name)

    def _execute(self, statement: str) -> None:
        with self._server.connect() as connection:
            connection.exec_driver_sql(statement)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresDatabases]:
    url = os.environ.get(_POSTGRES_URL)
    server = None
    if url is None:
        server = PostgresServer(tmp_path_factory.mktemp("postgres"), durable=False)
        server.start()
        url = server.url
    databases = PostgresDatabases(url)
    yield databases
    databases.close()
    if server is not None:
        server.stop()


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    """Six of them; shared, since starting them takes longer than most races."""
    processes = Processes(6)
    yield processes
    processes.end()


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """The file that processes find in ``tmp_path`` as their home."""
    database = Database(f"sqlite:///{tmp_path / 'turnout.db'}", durable=True)
    upgrade(database)
    yield database
    database.dispose()


@pytest.fixture
def postgres_database(postgres: PostgresDatabases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    url = postgres.make()
    # For processes that a test starts.
    monkeypatch.setenv("TURNOUT_DATABASE_URL", url.render_as_string(hide_password=False))
    database = Database(url, durable=True)
    yield database
    database.dispose()
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    """Either kind of database; what holds must hold on both."""
    made: Database = request.getfixturevalue(f"{request.param}_database")
    return made


@pytest.fixture
def owner_id(database: Database) -> str:
    return make_owner(database, "ada")


def make_owner(database: Database, name: str) -> str:
    with database.write() as session:
        holder = owners.holder_of(session, owners.make_key(session, owner=name, name="first"))
    assert holder is not None
    return holder.owner_id


@pytest.fixture
def claimant(database: Database) -> Claimant:
    with database.write() as session:
        worker_id = register(
            session, name="cpu-0", hostname="here", pid=1, queue="cpu", slots=1, kinds=["check_worker"]
        )
    return Claimant(worker_id, "cpu-0")


@pytest.fixture
def submitted(database: Database, owner_id: str) -> Callable[..., str]:
    """Submit a job with the given fields of ``NewJob``; returns its id."""

    def submit_job(**fields: object) -> str:
        defaults = {"owner_id": owner_id, "kind": "check_worker", "queue": "cpu", "spec": {}, "max_attempts": 3}
        with database.write() as session:
            return submit(session, NewJob(**{**defaults, **fields})).id  # type: ignore[arg-type]

    return submit_job


@pytest.fixture
def started(database: Database, claimant: Claimant, submitted: Callable[..., str]) -> Callable[..., Token]:
    """Submit and claim a job; returns the token of its attempt."""

    def start(**fields: object) -> Token:
        job_id = submitted(**fields)
        with database.write() as session:
            (job,) = claim(session, [job_id], claimant)
        return Token(job.id, job.attempt)

    return start


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def workers(tmp_path: Path, valkey: ValkeyServer, database: Database) -> Iterator[Workers]:
    workers = Workers(tmp_path, valkey.url, database.writing_engine.url.render_as_string(hide_password=False))
    yield workers
    workers.end()


@pytest.fixture
def queued(database: Database, submitted: Callable[..., str], valkey: ValkeyServer) -> Queued:
    """Submit a check and send its hint, as the API does."""
    sender = HintSender(valkey.url)

    def queue(kind: str = "check_worker", **spec: object) -> str:
        job_id = submitted(kind=kind, spec={"kind": kind, **spec})
        with database.write() as session:
            hints = next_hints(session, "cpu")
        sender.send("cpu", [(hint.job_id, hint.kind) for hint in hints])
        return job_id

    return queue
