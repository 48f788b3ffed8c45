"""Real processes, as small as they can be."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.waiting import until
from turnout.stack import children as module
from turnout.stack.children import Child, Children
from turnout.stack.errors import StackError

WAITS = "import time; time.sleep(600)"
# Says when it is ready, and leaves a note if it may end by itself, which takes it longer than a look of the thread.
ENDS_IN_ORDER = """
import pathlib, signal, sys, time
def end(*_):
    time.sleep(0.5)
    pathlib.Path("ended").touch()
    sys.exit()
signal.signal(signal.SIGTERM, end)
pathlib.Path("ready").touch()
time.sleep(600)
"""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Children]:
    children = Children(tmp_path)
    yield children
    children.stop_rest(5)


@pytest.fixture
def child(tmp_path: Path) -> Callable[[str], Child]:
    def make(program: str, name: str = "child") -> Child:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        return Child(name, [sys.executable, "-c", program], environment, tmp_path / f"{name}.log")

    return make


def test_what_is_stopped_last_may_end_in_order(made: Children, child: Callable[[str], Child], tmp_path: Path) -> None:
    started = child(ENDS_IN_ORDER)
    made.start(started)
    until((tmp_path / "ready").exists)
    made.stop_rest(20)
    assert started.process is not None
    assert started.process.returncode == 0
    assert (tmp_path / "ended").exists()


def test_what_does_not_end_is_killed(made: Children, child: Callable[[str], Child], tmp_path: Path) -> None:
    ignores = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); pathlib.Path('ready').touch()"
    )
    started = child(f"{ignores}; time.sleep(600)")
    made.start(started)
    until((tmp_path / "ready").exists)
    made.stop(["child"], 0.2)
    assert started.process is not None
    assert started.process.returncode == -9


def test_nothing_starts_once_all_end(made: Children, child: Callable[[str], Child]) -> None:
    made.stop_rest(1)
    late = child(WAITS)
    made.start(late)
    assert late.process is None


def test_one_that_dies_comes_back(made: Children, child: Callable[[str], Child], tmp_path: Path) -> None:
    started = child("open('starts', 'a').write('x')")
    made.start(started)
    until(lambda: (tmp_path / "starts").exists() and len((tmp_path / "starts").read_text()) > 1)
    assert started.failures >= 1


def test_however_often_one_died_it_is_started_again(
    made: Children, child: Callable[[str], Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LONGEST_PAUSE_SECONDS", 0.1)
    started = child("pass")
    started.failures = 1500
    made.start(started)
    until(lambda: started.failures > 1501)


def test_a_log_that_cannot_be_written_is_said(made: Children, child: Callable[[str], Child], tmp_path: Path) -> None:
    (tmp_path / "child.log").mkdir()
    with pytest.raises(StackError, match=r"child can't be started: .*Is a directory"):
        made.start(child(WAITS))
    other = child(WAITS, "other")
    made.start(other)
    assert other.process is not None


def test_a_restart_that_fails_is_tried_again(made: Children, child: Callable[[str], Child], tmp_path: Path) -> None:
    started = child("import pathlib; pathlib.Path('ran').touch()")
    made.start(started)
    until((tmp_path / "ran").exists)
    (tmp_path / "child.log").unlink()
    (tmp_path / "child.log").mkdir()
    until(lambda: started.failures > 1)
    (tmp_path / "ran").unlink()
    (tmp_path / "child.log").rmdir()
    until((tmp_path / "ran").exists)


def test_what_children_make_is_private(made: Children, child: Callable[[str], Child], tmp_path: Path) -> None:
    made.start(child("open('made', 'w').close(); import time; time.sleep(600)"))
    until((tmp_path / "made").exists)
    assert (tmp_path / "made").stat().st_mode & 0o077 == 0


def test_the_process_ends_with_the_thread_that_minds(tmp_path: Path) -> None:
    program = f"""
import sys, threading
from pathlib import Path
from turnout.stack.children import Child, Children
def broken(self, child):
    raise RuntimeError("broken")
Children._look_after = broken
home = Path({str(tmp_path)!r})
children = Children(home)
children.start(Child("child", [sys.executable, "-c", "import time; time.sleep(600)"], {{}}, home / "log"))
threading.Event().wait()
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == os.EX_SOFTWARE
    assert "RuntimeError: broken" in done.stderr
