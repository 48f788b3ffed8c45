"""What the README shows is run as it stands there, in the order in which it stands there."""

import json
import re
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.circle import write_circle
from tests.acceptance.program import Program, nvidia_smi, wait_until_gone, whole_tree
from tests.models.linear import write_linear

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECONDS = 400


def blocks(language: str, readme: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


def answer_of(block: str) -> list[str]:
    """What a block shows after its command, without blank lines."""
    return [line for line in block.splitlines() if line.strip() and not line.startswith("$ ")]


def pattern(line: str) -> str:
    """A shown line as a pattern: numbers and ids may differ, ``…`` stands for anything, columns may be wider."""
    # A slow machine needs minutes where the README shows seconds.
    line = re.sub(r" in \d+ s$", " in …", line)
    line = re.sub(r"\d+(\.\d+)?", "0", ID.sub("…", line))
    words = r"\s+".join(re.escape(word) for word in line.split())
    return rf"\s*{words}\s*".replace("0", r"\d+(\.\d+)?").replace("…", ".*")


def require_shown(block: str, output: str) -> None:
    """Every line that the block shows came, in that order."""
    lines = iter(output.splitlines())
    for shown in answer_of(block):
        if shown.strip() != "…":
            assert any(re.fullmatch(pattern(shown), line) for line in lines), f"{shown!r} did not come\n{output}"


DEMO, UP, USE, REQUEST, INFER, SCALE = blocks("console")
WITH_CLIENT, WITH_ASYNC_CLIENT, INFER_WITH_CLIENT = blocks("python")
# No test reaches the hub; a tiny model in a directory stands for it.
ON_THE_HUB, IN_A_DIRECTORY = "sentence-transformers/all-MiniLM-L6-v2", "embedder"
# The README's first lines are a fresh clone's; here everything is installed already.
INSTALLING = re.compile(r"^(Making \.venv|Installing the pinned dependencies) .*\n", re.MULTILINE)


def test_make_demo(tmp_path: Path) -> None:
    (command,) = commands(DEMO)
    program = Program(tmp_path)
    program.launch(*shlex.split(command), directory=ROOT)
    program.wait_for_line("Submitted train_automl")
    processes = whole_tree(program.process)
    assert program.wait(SECONDS) == 0, program.output
    require_shown(INSTALLING.sub("", DEMO), program.output)
    for part, port in (("API", program.api_port), ("Job", program.api_port), ("Flower", program.flower_port)):
        assert re.search(rf"^  {part} +http://127\.0\.0\.1:{port}/", program.output, re.MULTILINE), part
    wait_until_gone(processes)


def test_what_a_fresh_clone_says_first() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv")
    shown = INSTALLING.search(DEMO)
    assert shown is not None
    for line in DEMO[shown.start() :].splitlines()[:2]:
        assert f'echo "{line}"' in makefile


class User:
    """Somebody in a terminal of their own, in a directory whose ``.turnout`` is that of a running program."""

    def __init__(self, program: Program, directory: Path) -> None:
        self.directory = directory
        (directory / ".turnout").symlink_to(program.home)
        (directory / ".venv").symlink_to(Path(sys.executable).parents[1])
        self._port = str(program.api_port)
        # The rooms' common names are those of directories that somebody may stand in.
        self._environment = {**program.environment, "PYTHONSAFEPATH": "1"}

    def type(self, *lines: str) -> str:
        """What a shell prints when these lines are typed into it."""
        script = "\n".join(["set -e", *lines]).replace(":8400", f":{self._port}")
        return self._run("bash", "-c", script)

    def python(self, script: str) -> str:
        return self._run(sys.executable, "-c", script)

    @contextmanager
    def running(self, *lines: str, programs: Path) -> Iterator[None]:
        """While the last of these lines runs, which ends with Ctrl-C; ``programs`` are found before the machine's."""
        *before, last = lines
        script = "\n".join(["set -e", *before, f"exec {last}"])
        environment = {**self._environment, "PATH": f"{programs}:{self._environment['PATH']}"}
        with (self.directory / "running.log").open("ab") as log:
            process = subprocess.Popen(
                ["/bin/bash", "-c", script], cwd=self.directory, env=environment, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0, (self.directory / "running.log").read_text()

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.directory, env=self._environment, capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    directory = tmp_path_factory.mktemp("readme")
    program = Program(directory, TURNOUT_MODELS=str(directory / "models"))
    # Whatever GPUs the machine has.
    program.environment["PATH"] = f"{nvidia_smi(directory / 'bin')}:{program.environment['PATH']}"
    (command,) = commands(UP)
    program.launch(*shlex.split(command), directory=ROOT)
    _make_models(directory / "models")
    program.wait_for_line("Ctrl-C ends everything")
    processes = whole_tree(program.process)
    require_shown(UP.replace("/.turnout", f"/{program.home.name}"), program.output)
    # The demo, which the README runs before, leaves its table there.
    write_circle(program.home / "circle.csv")
    yield User(program, directory)
    # In a terminal Ctrl-C reaches it directly, and make waits for it.
    program.part("up").send_signal(signal.SIGINT)
    assert program.wait(60) == 0, program.output
    wait_until_gone(processes)


def _make_models(root: Path) -> None:
    # Imported here, since every process of the tests reads this file, and torch takes seconds.
    from tests.models.shelf import Shelf

    for name in (IN_A_DIRECTORY, "mood"):
        Shelf(root).model(name)


def test_commands(user: User) -> None:
    activate, submit, *rest = commands(USE)
    job_id = ID.findall(user.type(activate, submit))[-1]
    for command in rest:
        assert user.type(activate, command.replace("JOB", job_id)).strip(), command
    assert list((user.directory / "plots").glob("*.png"))
    assert zipfile.is_zipfile(user.directory / "model.zip")


def test_the_client(user: User) -> None:
    (user.directory / "model.zip").unlink(missing_ok=True)
    output = user.python(WITH_CLIENT)
    assert "leaderboard {" in output
    assert re.search(r"^ +algo +auc +logloss\n0 +\w+ +0\.9", output, re.MULTILINE), output
    assert zipfile.is_zipfile(user.directory / "model.zip")


def test_the_async_client(user: User) -> None:
    assert len(re.findall(r"^\S+ succeeded \w+_AutoML_", user.python(WITH_ASYNC_CLIENT), re.MULTILINE)) == 2


def test_the_request(user: User) -> None:
    (command,) = commands(REQUEST)
    assert json.loads(user.type(command))["jobs"]


def test_inference(user: User) -> None:
    write_linear(user.directory / "linear.onnx")
    activate = commands(USE)[0]
    embed, show, classify, upload, predict = (line.replace(ON_THE_HUB, IN_A_DIRECTORY) for line in commands(INFER))
    for result, *lines in (("vectors", embed), ("label", classify), ("total", upload, predict)):
        job_id = ID.findall(user.type(activate, *lines))[-1]
        assert result in user.type(activate, show.replace("JOB", job_id))
    output = user.python(INFER_WITH_CLIENT.replace(ON_THE_HUB, IN_A_DIRECTORY))
    assert output.startswith("2 vectors\n")
    assert "total" in output


def test_another_gpu(user: User, tmp_path: Path) -> None:
    driver = nvidia_smi(tmp_path / "bin", "0, GPU-a, One, 1000", "1, GPU-b, Other, 1000")
    activate, (command,) = commands(USE)[0], commands(SCALE)
    waiting = user.type(activate, "turnout submit check_worker --queue gpu --message there")
    job_id = ID.findall(waiting)[-1]
    assert "no live worker for queue `gpu`" in user.type(activate, f"turnout show {job_id}")
    with user.running(activate, command, programs=driver):
        user.type(activate, f"turnout watch {job_id}")
        assert "gpu-0" in user.type(activate, "turnout workers")
