"""The command as a process: what its streams, its terminal and its locale do to it."""

import fcntl
import json
import os
import pty
import resource
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api.serving import HandWorker
from tests.unit.turnout.conftest import Server
from tests.waiting import until
from turnout import Client
from turnout.cli.endings import Exit
from turnout.cli.streams import NOBODY_READS

TURNOUT = str(Path(sys.executable).with_name("turnout"))
WORDS = "größer … 日本"
# What Python makes of a locale without UTF-8 where it is not allowed to choose another one.
ASCII_ONLY = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Start:
    """Starts the command with ann's key; ``environment`` is what differs."""

    def start(
        *arguments: str | bytes, environment: dict[str, str] | None = None, **options: Any
    ) -> "subprocess.Popen[bytes]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TURNOUT_", "LC_", "LANG"))}
        chosen = {"TURNOUT_URL": server.url, "TURNOUT_API_KEY": server.serving.keys.ann, "HOME": str(tmp_path)}
        places = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
        return subprocess.Popen(
            [TURNOUT, *arguments], env={**kept, **chosen, **(environment or {})}, **{**places, **options}
        )

    return start


def outcome(process: "subprocess.Popen[bytes]") -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=60)
    assert b"Traceback" not in errors, errors.decode()
    assert b"Exception ignored" not in errors, errors.decode()
    return process.returncode, (output or b"").decode(), errors.decode()


@pytest.fixture
def job_id(client: Client) -> str:
    return client.submit("count_words", {"text": WORDS}).id


@pytest.mark.parametrize("arguments", [["ls"], ["ls", "--json"], ["show", "JOB"], ["kinds"], ["doctor"]])
def test_nobody_reads(start: Start, job_id: str, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*(job_id if word == "JOB" else word for word in arguments), stdout=writing)
    os.close(writing)
    code, _, errors = outcome(process)
    assert (code, errors) == (NOBODY_READS, "")


def test_a_reader_that_leaves_in_the_middle(start: Start, worker: HandWorker, job_id: str) -> None:
    token = worker.start(job_id)
    for number in range(5):
        worker.log(token, f"{number} " + 100_000 * "x")
    worker.succeed(token)
    process = start("logs", job_id)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    assert (process.wait(60), process.stderr.read()) == (NOBODY_READS, b"")


def test_an_output_that_is_full(start: Start, job_id: str) -> None:
    for arguments in (["ls"], ["show", job_id, "--json"]):
        with Path("/dev/full").open("wb") as full:
            code, _, errors = outcome(start(*arguments, stdout=full))
        assert (code, errors) == (Exit.FAILED, "Error: The output: No space left on device.\n")


@pytest.mark.parametrize("descriptor", [0, 1, 2])
def test_a_stream_that_is_closed(start: Start, job_id: str, descriptor: int) -> None:
    process = start("show", job_id, preexec_fn=lambda: os.close(descriptor))
    code, output, _ = outcome(process)
    assert (code, job_id in output) == (0, descriptor != 1)


def test_a_spec_from_a_closed_stdin(start: Start) -> None:
    code, _, errors = outcome(start("submit", "count_words", "--spec", "-", preexec_fn=lambda: os.close(0)))
    assert (code, "standard input is closed" in errors) == (Exit.USAGE, True)


@pytest.mark.parametrize("environment", [ASCII_ONLY, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii"}])
def test_a_terminal_of_an_old_encoding(start: Start, job_id: str, environment: dict[str, str]) -> None:
    code, output, _ = outcome(start("show", job_id, "--json", environment=environment))
    assert (code, json.loads(output)["spec"]) == (0, {"text": WORDS})
    process = start("show", job_id, environment=environment)
    text = process.communicate(timeout=60)[0]
    assert (process.returncode, b"gr\xf6\xdfer ? ??" in text or b"gr??er ? ??" in text) == (0, True)


def test_an_argument_that_is_no_text(start: Start) -> None:
    for arguments in (["show", b"\xff"], ["submit", "count_words", "--text", b"\xff"], ["ls", "--kind", b"\xff"]):
        code, output, errors = outcome(start(*arguments))
        assert (code, output, errors.startswith("Error: ")) == (Exit.USAGE, "", True), errors


@pytest.mark.parametrize("arguments", [["ls"], ["show", "JOB"], ["queues"], ["kinds"], ["watch", "JOB"], ["doctor"]])
@pytest.mark.parametrize("columns", [10, 200])
def test_a_terminal_of_any_width_without_colours(
    start: Start, worker: HandWorker, job_id: str, arguments: list[str], columns: int
) -> None:
    worker.succeed(worker.start(job_id), words=1)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {"NO_COLOR": "1", "TERM": "xterm-256color"}
    process = start(*(job_id if word == "JOB" else word for word in arguments), environment=environment, stdout=theirs)
    os.close(theirs)
    shown = _read_terminal(ours)
    code, _, _ = outcome(process)
    assert code == 0
    assert shown.strip()
    # Moves of the cursor are no colours.
    assert b"\x1b[3" not in shown
    assert b"\x1b[9" not in shown


def _read_terminal(descriptor: int) -> bytes:
    """Everything until the other end is closed, which Linux reports as an error."""
    shown = b""
    try:
        while part := os.read(descriptor, 4096):
            shown += part
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return shown


@pytest.mark.parametrize("arguments", [["wait"], ["watch"], ["watch", "--json"], ["logs", "-f", "--all"]])
def test_ctrl_c_detaches(start: Start, server: Server, client: Client, job_id: str, arguments: list[str]) -> None:
    tailer = server.serving.services.tailer
    until(lambda: not tailer.watched_jobs, what="the server's notice that the one before has left")
    process = start(*arguments, job_id)
    until(lambda: tailer.watched_jobs)
    process.send_signal(signal.SIGINT)
    code, _, errors = outcome(process)
    assert (code, f"turnout watch {job_id}" in errors) == (Exit.INTERRUPTED, True)
    assert client.job(job_id).state == "queued"


def test_ctrl_c_while_the_command_still_loads(start: Start, tmp_path: Path) -> None:
    slow = tmp_path / "path" / "httpx.py"
    slow.parent.mkdir()
    slow.write_text("import os, time\nos.write(1, b'loading')\ntime.sleep(60)\n")
    process = start("ls", environment={"PYTHONPATH": str(slow.parent)})
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 7) == b"loading"
    process.send_signal(signal.SIGINT)
    assert outcome(process) == (Exit.INTERRUPTED, "", "")


def test_ctrl_c_after_a_submission_says_which_job_goes_on(start: Start, client: Client) -> None:
    process = start("submit", "count_words", "--text", "mine alone", "--wait")
    job = until(lambda: next((job for job in client.jobs(limit=5) if job.record.spec["text"] == "mine alone"), None))
    assert process.stderr is not None
    assert job.id in process.stderr.readline().decode()
    process.send_signal(signal.SIGINT)
    code, _, errors = outcome(process)
    assert (code, f"turnout cancel {job.id}" in errors) == (Exit.INTERRUPTED, True)


def test_a_disk_that_is_full(start: Start, worker: HandWorker, tmp_path: Path, job_id: str) -> None:
    worker.save(worker.start(job_id), "large.bin", 100_000 * b"x")

    def leave_little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    code, _, errors = outcome(start("artifacts", "get", job_id, "large.bin", preexec_fn=leave_little))
    assert (code, ". can't be written: File too large. Choose another place" in errors) == (Exit.FAILED, True), errors
    assert list(tmp_path.glob("large*")) == []
