"""``turnout worker`` becomes the worker that was asked for, of the right Turnout."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from turnout.cli.app import cli
from turnout.cli.endings import Exit
from turnout.stack.secrets import load_secrets

Become = Callable[..., tuple[Result, list[str], dict[str, str]]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("TURNOUT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TURNOUT_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def become(home: Path, monkeypatch: pytest.MonkeyPatch) -> Become:
    """What the command would turn into: its words and its environment."""
    seen: list[tuple[list[str], dict[str, str]]] = []

    def execve(program: str, words: list[str], environment: dict[str, str]) -> None:
        assert program == sys.executable
        seen.append((words[1:], environment))

    monkeypatch.setattr(os, "execve", execve)

    def become(*arguments: str) -> tuple[Result, list[str], dict[str, str]]:
        result = CliRunner().invoke(cli, ["worker", *arguments])
        return result, *(seen[-1] if seen else ([], {}))

    return become


def test_one_of_a_gpu(become: Become) -> None:
    result, words, environment = become("--queue", "gpu", "--device", "1")
    assert result.exit_code == 0
    assert words == ["-P", "-m", "workers", "--queue", "gpu", "--device", "1"]
    assert "TURNOUT_BROKER_URL" not in environment


def test_beside_turnout_up_it_finds_its_broker(become: Become, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    password = load_secrets(home).redis_password
    monkeypatch.setenv("TURNOUT_REDIS_PORT", "9401")
    _, words, environment = become("--queue", "cpu", "--slots", "2")
    assert environment["TURNOUT_BROKER_URL"] == f"redis://:{password}@127.0.0.1:9401/0"
    assert not any(password in word for word in words)
    monkeypatch.setenv("TURNOUT_BROKER_URL", "redis://elsewhere/0")
    assert become("--queue", "cpu")[2]["TURNOUT_BROKER_URL"] == "redis://elsewhere/0"


def test_what_cannot_be_meant_is_said(become: Become, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNOUT_REDIS_PORT", "many")
    result, words, _ = become("--queue", "cpu")
    assert (result.exit_code, words) == (Exit.FAILED, [])
    assert "TURNOUT_REDIS_PORT is 'many'" in result.stderr
    monkeypatch.delenv("TURNOUT_REDIS_PORT")
    (home / "secrets.json").write_text("{")
    assert "can't be understood" in become("--queue", "cpu")[0].stderr
