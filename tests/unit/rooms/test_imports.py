"""What each process may load, proved in fresh interpreters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ML_LIBRARIES = {
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "onnxruntime",
    "PIL",
    "h2o",
    "openai",
    "pandas",
    "numpy",
    "matplotlib",
    "pyarrow",
}
ROOMS = {"api", "tasks", "workers", "db"}


def modules_after(statement: str) -> set[str]:
    """The top-level modules that a fresh process has loaded after the statement."""
    program = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "api.app",
        "api.__main__",
        "workers.supervisor",
        "workers.__main__",
        "workers.runner",
        "workers.inference.workbench",
    ],
)
def test_no_ml_library_is_loaded(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert module.partition(".")[0] in loaded
    assert not loaded & ML_LIBRARIES


def test_kinds_load_no_ml_library() -> None:
    assert not modules_after("from tasks.registry import load_kinds; load_kinds()") & ML_LIBRARIES


def test_the_sdk_and_the_command_line_load_no_other_room() -> None:
    loaded = modules_after("import turnout.client, turnout.async_client, turnout.cli.app, turnout.stack")
    assert not loaded & (ROOMS | ML_LIBRARIES | {"celery", "sqlalchemy", "fastapi", "pydantic"})


def test_a_runner_loads_no_database_and_no_broker() -> None:
    assert not modules_after("import workers.runner") & {"sqlalchemy", "celery", "redis", "db"}


@pytest.mark.parametrize("module", ["workers", "api"])
def test_a_stray_tasks_module_on_the_path_is_named(module: str, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").touch()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-P", "-m", module]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "'tasks' is not a package" in done.stderr


def test_a_tasks_module_in_the_working_directory_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("raise SystemExit('the wrong tasks')")
    command = [sys.executable, "-P", "-m", "workers", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--queue" in done.stdout
