"""What the doctor says, and how it ends."""

import fcntl
import json
import resource
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import Result

from tests.servers import free_port
from tests.unit.api.serving import HandWorker
from tests.unit.turnout.conftest import Server
from turnout.cli.endings import Exit
from turnout.connection import remember
from turnout.errors import ServerUnreachable

Turnout = Callable[..., Result]
Found = dict[str, tuple[str, str]]


def findings(result: Result) -> Found:
    document = json.loads(result.stdout)
    assert document["ok"] is not any(finding["status"] == "fail" for finding in document["findings"])
    assert all(set(finding) == {"name", "status", "message", "advice"} for finding in document["findings"])
    return {finding["name"]: (finding["status"], finding["message"]) for finding in document["findings"]}


@pytest.fixture
def admin(server: Server, monkeypatch: pytest.MonkeyPatch, turnout: Turnout) -> None:
    monkeypatch.setenv("TURNOUT_API_KEY", server.serving.keys.admin)


@pytest.mark.usefixtures("admin")
def test_an_admin_is_told_everything(turnout: Turnout, worker: HandWorker) -> None:
    result = turnout("doctor", "--json")
    found = findings(result)
    assert {"configuration", "server", "version", "key", "clock", "database", "migrations", "workers", "disk"} <= set(
        found
    )
    assert (result.exit_code, found["configuration"][0]) == (0, "ok")
    assert "from TURNOUT_URL), the key from TURNOUT_API_KEY" in found["configuration"][1]
    lines = turnout("doctor").stdout.splitlines()
    assert len(lines) == len(json.loads(result.stdout)["findings"])
    assert all(line.split()[0] in ("ok", "warn", "fail") for line in lines)


@pytest.mark.usefixtures("admin")
def test_something_that_fails(turnout: Turnout, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.store.Store.free_bytes", lambda _store: -1)
    result = turnout("doctor")
    assert result.exit_code == Exit.FAILED
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("fail"))
    assert "Delete files" in line
    assert "1 fail" in result.stderr


def test_others_are_told_what_they_may_know(turnout: Turnout) -> None:
    result = turnout("doctor", "--json")
    found = findings(result)
    assert result.exit_code == 0
    assert {name: status for name, (status, _) in found.items()} == {
        "configuration": "ok",
        "server": "ok",
        "version": "ok",
        "key": "ok",
        "examination": "warn",
        "ready": "ok",
    }


def test_a_server_that_is_not_ready(turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.routes.health.is_current", lambda _database: False)
    result = turnout("doctor", "--json")
    assert (result.exit_code, findings(result)["ready"][0]) == (Exit.FAILED, "fail")


@pytest.mark.usefixtures("admin")
def test_a_database_that_does_not_answer(turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_arguments: object) -> None:
        raise OSError

    monkeypatch.setattr("api.routes.doctor._read_now", away)
    monkeypatch.setattr("api.routes.doctor.SQLAlchemyError", OSError)
    result = turnout("doctor", "--json")
    status, message = findings(result)["examination"]
    assert (result.exit_code, status, "The database does not answer" in message) == (Exit.FAILED, "fail", True)


@pytest.mark.usefixtures("admin")
def test_another_version_and_another_time(turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(datetime):
        @classmethod
        def now(cls, *_zone: object) -> datetime:  # type: ignore[override]
            return datetime.fromisoformat("2020-01-01T00:00:00Z")

    monkeypatch.setattr("turnout.cli.doctor.datetime", Late)
    monkeypatch.setattr("turnout.cli.doctor.version", lambda _name: "0.0.9")
    result = turnout("doctor", "--json")
    found = findings(result)
    assert (result.exit_code, found["version"][0], found["clock"][0]) == (0, "warn", "warn")
    assert "this command 0.0.9" in found["version"][1]
    assert "ahead of this machine's" in found["clock"][1]


def test_something_else_at_that_address(turnout: Turnout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.listen()
        port = other.getsockname()[1]

        def answer() -> None:
            while True:
                try:
                    connection, _ = other.accept()
                except OSError:
                    return
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        result = turnout("--url", f"http://127.0.0.1:{port}", "doctor", "--json")
    assert (result.exit_code, findings(result)["server"][0]) == (Exit.FAILED, "fail")


def test_a_server_that_was_named_is_not_looked_for_here(turnout: Turnout) -> None:
    result = turnout("--url", "http://127.0.0.1:9", "doctor", "--json")
    assert (result.exit_code, set(findings(result))) == (Exit.UNREACHABLE, {"configuration", "server"})


def test_without_a_server_this_machine_is_looked_at(turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TURNOUT_URL")
    monkeypatch.delenv("TURNOUT_API_KEY")
    monkeypatch.setattr("turnout.connection.DEFAULT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("turnout.cli.doctor.DEFAULT_URL", "http://127.0.0.1:9")
    result = turnout("doctor", "--json")
    found = findings(result)
    assert (result.exit_code, found["configuration"][0]) == (Exit.UNREACHABLE, "warn")
    assert {"server", "system", "home", "ports"} <= set(found)


def test_a_remembered_server_is_said(turnout: Turnout, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TURNOUT_URL")
    monkeypatch.delenv("TURNOUT_API_KEY")
    Path("api-key").write_text(server.serving.keys.ann)
    remember(server.url, Path("api-key"))
    result = turnout("doctor", "--json")
    assert (result.exit_code, findings(result)["configuration"][1]) == (
        0,
        f"The server is {server.url} (from `turnout up`), the key from the file that `turnout up` wrote.",
    )


@pytest.fixture
def own_ports(turnout: Turnout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Ports that are free now; H2O's, which need two in a row, are left to an address elsewhere."""
    for name in ("API", "REDIS", "FLOWER"):
        monkeypatch.setenv(f"TURNOUT_{name}_PORT", str(free_port()))
    monkeypatch.setenv("TURNOUT_H2O_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TURNOUT_HOME", str(tmp_path / "home"))
    port = free_port()
    monkeypatch.setenv("TURNOUT_API_PORT", str(port))
    return port


def test_a_machine_that_can_run_it(turnout: Turnout, own_ports: int) -> None:
    result = turnout("doctor", "--local", "--json")
    found = findings(result)
    assert set(found) == {
        *("system", "packages", "redis", "home", "disk", "memory", "overcommit", "descriptors", "ports"),
    }
    assert {found[name][0] for name in ("system", "packages", "redis", "home", "ports")} == {"ok"}
    assert not Path("home").exists()


def test_a_port_that_is_taken(turnout: Turnout, own_ports: int) -> None:
    with socket.create_server(("127.0.0.1", own_ports)):
        result = turnout("doctor", "--local", "--json")
    status, message = findings(result)["ports"]
    assert (result.exit_code, status, str(own_ports) in message, "--api-port" in message) == (1, "fail", True, True)


def test_a_stack_that_runs_has_its_ports(turnout: Turnout, own_ports: int) -> None:
    Path("home/run").mkdir(parents=True)
    with (
        Path("home/run/up.lock").open("wb") as lock,
        socket.create_server(("127.0.0.1", own_ports)),
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, message = findings(turnout("doctor", "--local", "--json"))["ports"]
    assert (status, "runs in" in message) == ("ok", True)


@pytest.mark.parametrize("home", ["/proc/turnout", "taken/home"])
def test_a_home_that_cannot_be_made(
    turnout: Turnout, own_ports: int, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    Path("taken").touch()
    monkeypatch.setenv("TURNOUT_HOME", home)
    result = turnout("doctor", "--local", "--json")
    assert (result.exit_code, findings(result)["home"][0]) == (1, "fail")


def test_too_little_of_everything(turnout: Turnout, own_ports: int, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("meminfo").write_text("MemTotal: 100 kB\nMemAvailable: 50 kB\n")
    monkeypatch.setattr("turnout.cli.doctor_local._MEMORY", Path("meminfo"))
    monkeypatch.setattr("turnout.cli.doctor_local._GB", 10**30)
    found = findings(turnout("doctor", "--local", "--json"))
    assert (found["memory"][0], found["disk"][0]) == ("warn", "fail")


def test_a_system_that_reserves_no_memory(turnout: Turnout, own_ports: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turnout.cli.doctor_local._OVERCOMMIT", Path("overcommit"))
    for setting, status in (("0", "ok"), ("1", "ok"), ("2", "warn")):
        Path("overcommit").write_text(setting + "\n")
        assert findings(turnout("doctor", "--local", "--json"))["overcommit"][0] == status


def test_too_few_descriptors(turnout: Turnout, own_ports: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        assert findings(turnout("doctor", "--local", "--json"))["descriptors"][0] == "warn"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_keys_that_others_can_read(turnout: Turnout, own_ports: int) -> None:
    home = Path("home")
    home.mkdir(mode=0o755)
    (home / "api-key").write_text("secret")
    (home / "api-key").chmod(0o644)
    assert findings(turnout("doctor", "--local", "--json"))["secrets"][0] == "warn"
    home.chmod(0o700)
    assert "secrets" not in findings(turnout("doctor", "--local", "--json"))


@pytest.mark.parametrize(
    ("url", "status"), [("http://192.0.2.1:8400", "warn"), ("https://192.0.2.1:8400", "ok"), ("http://[::1]:1", "ok")]
)
def test_a_key_that_travels_unencrypted(
    turnout: Turnout, monkeypatch: pytest.MonkeyPatch, url: str, status: str
) -> None:
    monkeypatch.setenv("TURNOUT_URL", url)
    monkeypatch.setenv("TURNOUT_API_KEY", "secret")
    # Nobody is asked: this is about what is configured.
    monkeypatch.setattr("turnout.cli.doctor._server", _away)
    found = findings(turnout("doctor", "--json"))
    assert found["configuration"][0] == status
    assert "secret" not in str(found)


def _away(_driver: object) -> None:
    raise ServerUnreachable("It is away.")


def test_what_is_not_installed(turnout: Turnout, own_ports: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TURNOUT_H2O_URL")
    monkeypatch.setattr("turnout.cli.doctor_local._found", lambda _module: None)
    result = turnout("doctor", "--local", "--json")
    found = findings(result)
    assert {name for name, (status, _) in found.items() if status == "fail"} >= {"packages", "redis", "java", "h2o"}
    assert "pip install 'turnout[embedded]'" in turnout("doctor", "--local").stdout


def test_settings_that_cannot_be_meant(turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNOUT_API_PORT", "abc")
    result = turnout("doctor", "--local", "--json")
    assert (result.exit_code, "TURNOUT_API_PORT" in findings(result)["settings"][1]) == (1, True)
