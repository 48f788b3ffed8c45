"""Starting, refusing to start, and ending without a trace."""

import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.program import TURNOUT, Program, wait_until_gone, whole_tree
from tests.waiting import until
from turnout import Client


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    program = Program(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", program.api_port))
        done = subprocess.run([TURNOUT, "up"], env=program.environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"Port {program.api_port}" in done.stderr
    assert "--api-port" in done.stderr
    assert not (program.home / "redis").exists()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("TURNOUT_API_PORT", "abc", "TURNOUT_API_PORT is 'abc'"),
        ("TURNOUT_API_PORT", "70000", "70000 is no port for the API"),
        ("TURNOUT_HOME", "{file}/home", "can't be used: Not a directory"),
        ("TURNOUT_HOME", "/proc/turnout", "can't be used: "),
        ("TURNOUT_HOME", "{shared}", "is shared with others"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, variable: str, value: str, expected: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    text = value.format(file=tmp_path / "file", shared=tmp_path / "shared")
    environment = {**Program(tmp_path).environment, variable: text}
    done = subprocess.run([TURNOUT, "up"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("signals", "code"),
    [((signal.SIGINT, signal.SIGINT), 130), ((signal.SIGTERM, signal.SIGINT), 143), ((signal.SIGHUP,), 129)],
)
@pytest.mark.parametrize("moment", ["Starting Redis", "Preparing the database", "Starting the API"])
def test_a_start_can_be_ended(tmp_path: Path, moment: str, signals: tuple[signal.Signals, ...], code: int) -> None:
    program = Program(tmp_path)
    program.launch(TURNOUT, "up")
    program.wait_for_line(moment)
    processes = whole_tree(program.process)
    assert program.end(*signals) == code, program.output
    wait_until_gone(processes)
    assert "Traceback" not in program.output


def test_ctrl_c_again_and_again_to_the_very_end(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.launch(TURNOUT, "up")
    program.wait_for_line("Starting Redis")
    processes = whole_tree(program.process)
    assert program.end_with_many(signal.SIGINT) == 130, program.output
    wait_until_gone(processes)
    assert "Traceback" not in program.output


def test_an_open_home_of_any_name_behind_a_proxy_and_nowhere_to_remember_it(tmp_path: Path) -> None:
    """What a start has to cope with; and at the end the servers end by themselves."""
    user = tmp_path / "user"
    user.touch()
    proxy = "http://127.0.0.1:1"
    home = tmp_path / 'Größe "1"'
    home.mkdir(mode=0o755)
    surroundings = {"HTTP_PROXY": proxy, "ALL_PROXY": proxy, "TURNOUT_HOME": str(home), "XDG_CONFIG_HOME": str(user)}
    program = Program(tmp_path, **surroundings)
    program.home = home
    client = program.start()
    assert "Clients won't find this server by themselves" in program.output
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for path in home.rglob("*"):
        assert stat.S_ISSOCK(path.lstat().st_mode) or path.lstat().st_mode & 0o077 == 0, path
    with client:
        assert client.submit("check_worker", {"message": "there"}).wait(60).state == "succeeded"
    processes = whole_tree(program.process)
    assert program.end(signal.SIGTERM, signal.SIGINT, signal.SIGINT) == 0
    wait_until_gone(processes)
    assert "Traceback" not in program.output
    assert "bye bye" in (home / "logs" / "redis.log").read_text()


def test_one_home_runs_once(program: Program) -> None:
    environment = {**program.environment, "TURNOUT_API_PORT": "1"}
    done = subprocess.run([TURNOUT, "up"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "already running" in done.stderr


def test_secrets_are_private(program: Program) -> None:
    until((program.home / "h2o" / "cluster.json").exists, 60, what="H2O's announcement")
    for name in ("api-key", "secrets.json", "redis/valkey.conf", "h2o/cluster.json"):
        assert (program.home / name).stat().st_mode & 0o077 == 0, name
    commands = " ".join(" ".join(process.cmdline()) for process in whole_tree(program.process))
    assert (program.home / "api-key").read_text().strip() not in commands
    assert (program.home / "secrets.json").read_text().split('"')[3] not in commands


def test_the_client_finds_a_running_program(program: Program) -> None:
    command = [TURNOUT, "workers", "--json"]
    environment = {name: value for name, value in program.environment.items() if not name.startswith("TURNOUT_")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert '"h2o-0"' in done.stdout
    assert '"cpu-0"' in done.stdout


def test_killed_parts_come_back(program: Program, client: Client) -> None:
    for words in (("workers.flower",), ("workers", "cpu"), ("api",)):
        part = program.part(*words)
        part.kill()
        wait_until_gone([part])
    until(program.answers, what="an answer from the API")
    record = client.submit("check_worker", {"message": "back"}).wait(60)
    assert record.result is not None
    assert record.result["message"] == "back"
