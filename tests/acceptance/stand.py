"""A program with a database of either sort and the tests' own kinds, on which parts are killed."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.ledger import Ledger
from tests.acceptance.program import Program, wait_until_gone, whole_tree
from tests.acceptance.short_jobs import ShortJobs
from tests.servers import PostgresServer
from tests.waiting import until
from turnout import Client

KINDS = {"TURNOUT_KINDS": "tests.acceptance.kinds", "PYTHONPATH": str(Path(__file__).parents[2])}


@dataclass(frozen=True)
class Stand:
    """``server`` is None where the database is a file."""

    program: Program
    client: Client
    ledger: Ledger
    server: PostgresServer | None

    @contextmanager
    def streams(self, name: str) -> Iterator[list[ShortJobs]]:
        """Short jobs for the cpu and the h2o worker, submitted while the block runs; some have ended at its start."""
        with ExitStack() as stack:
            streams = [
                stack.enter_context(ShortJobs(self.client, self.ledger, name, queue)) for queue in ("cpu", "h2o")
            ]
            for stream in streams:
                stream.wait_for_more(3)
            yield streams

    def kill_database(self) -> None:
        """SIGKILL to the database server, and its return."""
        assert self.server is not None
        self.server.kill()
        until(lambda: not self.program.answers(), what="an API that misses its database")
        self.server.start()
        until(self.program.answers, 60, what="an API that found its database again")


@contextmanager
def standing(directory: Path, *, postgres: bool, **settings: str) -> Iterator[Stand]:
    """The program, from its start to an end that leaves nothing behind."""
    with ExitStack() as stack:
        server = None
        if postgres:
            server = PostgresServer(directory)
            stack.callback(server.stop)
            server.start()
            settings["TURNOUT_DATABASE_URL"] = server.make_database()
        program = Program(directory, **KINDS, **settings)
        stack.callback(program.kill)
        client = stack.enter_context(program.start())
        yield Stand(program, client, Ledger(directory / "ledger"), server)
        processes = whole_tree(program.process)
        assert program.end() == 0, program.output
        wait_until_gone(processes)
