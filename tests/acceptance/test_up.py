"""Starting, refusing to start, and ending without a trace."""

import socket
import subprocess
from pathlib import Path

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


def test_one_home_runs_once(program: Program) -> None:
    environment = {**program.environment, "TURNOUT_API_PORT": "1"}
    done = subprocess.run([TURNOUT, "up"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "already running" in done.stderr


def test_secrets_are_private(program: Program) -> None:
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
