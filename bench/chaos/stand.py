"""What is put under fire: servers, a proxy before the broker, and the parts of one side (Turnout or plain Celery)."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import Engine, create_engine

from bench.chaos.clock_shift import find_faketime
from bench.chaos.disk import SmallDisk
from bench.chaos.evidence import Harm
from bench.chaos.ledger import Ledger
from bench.chaos.parts import Part
from bench.chaos.proxy import Proxy
from tests.servers import PostgresServer, ValkeyServer, free_port

WORKERS = 2
_LOG_CHARACTERS = 3000


@dataclass(frozen=True)
class Needs:
    """What a stream needs of each worker: slots, memory for each runner, and whether its jobs use models."""

    slots: int
    runner_memory_bytes: int
    models: bool = False


@dataclass
class Stand:
    """``api`` is None where there is none; ``small_disk`` where none could be had; ``postgres`` where the database is a
    file. ``is_runner`` says of a process below a worker whether jobs run in it."""

    directory: Path
    ledger: Ledger
    broker: ValkeyServer
    proxy: Proxy
    engine: Engine
    database_url: str
    postgres: PostgresServer | None
    small_disk: SmallDisk | None
    faketime: Path | None
    needs: Needs
    api: Part | None = None
    workers: list[Part] = field(default_factory=list)
    is_runner: Callable[[psutil.Process], bool] = lambda _process: True
    answers: Callable[[], bool] = lambda: True
    harms: list[Harm] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    wall_minus_monotonic: float = field(default_factory=lambda: time.time() - time.monotonic())

    @property
    def broker_url(self) -> str:
        return f"redis://127.0.0.1:{self.proxy.port}/0"

    def parts(self) -> list[Part]:
        return [*([self.api] if self.api else []), *self.workers]

    def pids_of(self, worker: Part) -> frozenset[int]:
        return frozenset({worker.pid, *(process.pid for process in worker.below())})

    def end_of_log(self) -> str:
        """The last lines of what all parts wrote."""
        return (self.directory / "log").read_text(errors="replace")[-_LOG_CHARACTERS:]

    def watch_over(self) -> None:
        """A part that ended though nobody hit it is trouble, and is started again."""
        for part in self.parts():
            code = part.died_by_itself()
            if code is not None:
                self.trouble.append(f"{part.name} ended by itself with {code}; the log's end: {self.end_of_log()}")
                part.start()


@contextmanager
def servers(directory: Path, needs: Needs, *, postgres: bool) -> Iterator[Stand]:
    """Database, broker and proxy, while the block runs; the parts of a side are put into it and cleared away."""
    with ExitStack() as stack:
        server = None
        url = f"sqlite:///{directory / 'home' / 'turnout.db'}"
        (directory / "home").mkdir()
        if postgres:
            server = PostgresServer(directory)
            stack.callback(server.stop)
            server.start()
            url = server.make_database()
        (directory / "broker").mkdir()
        broker = ValkeyServer(directory / "broker")
        broker.start()
        stack.callback(broker.kill)
        proxy = Proxy(free_port(), broker.port)
        proxy.start()
        stack.callback(proxy.stop)
        waiting: Mapping[str, int] = {"connect_timeout": 5} if postgres else {"timeout": 60}
        engine = create_engine(url, pool_pre_ping=True, connect_args=waiting)
        stack.callback(engine.dispose)
        disk = stack.enter_context(SmallDisk.made(directory / "home" / "store"))
        ledger = Ledger(directory / "ledger")
        stand = Stand(directory, ledger, broker, proxy, engine, url, server, disk, find_faketime(), needs)
        try:
            yield stand
        finally:
            for part in reversed(stand.parts()):
                part.clear_away()
