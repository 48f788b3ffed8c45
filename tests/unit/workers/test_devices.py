"""Which GPUs are found, and which one a worker's runners see; a program of the test's own stands for NVIDIA's."""

import sys
from pathlib import Path

import pytest

from turnout.stack.devices import gpu_numbers
from workers.devices import Gpu, NoSuchDevice, gpu_named, gpus, read_gpus
from workers.placement import find_gpu, runner_settings
from workers.runner_process import environment_of
from workers.settings import WorkerSettings

ANSWER = "0, GPU-aa11, NVIDIA H100 80GB HBM3, 81559\n1, GPU-bb22, NVIDIA GB10, [N/A]\n"
TWO = (Gpu(0, "GPU-aa11", "NVIDIA H100 80GB HBM3", 81559 << 20), Gpu(1, "GPU-bb22", "NVIDIA GB10", 0))


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that answers as NVIDIA's does with two GPUs."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint({ANSWER!r} if 'uuid' in sys.argv[1] else '0\\n1')\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return program


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerSettings:
    monkeypatch.setenv("TURNOUT_HOME", str(tmp_path))
    return WorkerSettings()


def test_what_the_driver_says_is_read() -> None:
    assert tuple(read_gpus(ANSWER)) == TWO
    assert tuple(read_gpus("")) == ()


def test_a_gpu_is_named_by_number_or_id() -> None:
    assert gpu_named("1", TWO) == gpu_named("GPU-bb22", TWO) == TWO[1]
    with pytest.raises(NoSuchDevice, match=r"no GPU 7 here; .*: 0 \(NVIDIA H100 80GB HBM3\), 1"):
        gpu_named("7", TWO)
    with pytest.raises(NoSuchDevice, match="knows: none"):
        gpu_named("0", ())


def test_gpus_are_found_and_the_first_serves_who_names_none(nvidia_smi: Path) -> None:
    assert tuple(gpus()) == TWO
    assert gpu_numbers() == [0, 1]
    assert find_gpu("gpu", None) == TWO[0]
    assert find_gpu("gpu", "1") == TWO[1]
    assert find_gpu("cpu", None) is None


@pytest.mark.parametrize("answer", ["exit 9", "kill -9 $$"])
def test_a_driver_that_does_not_answer_has_no_gpus(nvidia_smi: Path, answer: str) -> None:
    nvidia_smi.write_text(f"#!/bin/sh\n{answer}\n")
    assert tuple(gpus()) == ()
    assert tuple(gpu_numbers()) == ()
    assert find_gpu("gpu", None) is None


def test_a_machine_without_a_driver_has_no_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tuple(gpus()) == ()
    assert tuple(gpu_numbers()) == ()


def test_a_runner_sees_its_gpu_alone_and_one_on_cpu_none(settings: WorkerSettings) -> None:
    (on_gpu,) = runner_settings(settings, worker="gpu-0", queue="gpu", slots=1, kinds=(), gpu=TWO[0])
    assert environment_of(on_gpu)["CUDA_VISIBLE_DEVICES"] == "GPU-aa11"
    assert on_gpu.inference["device"] == "cuda"
    assert on_gpu.inference["model_bytes"] == (81559 << 20) // 2
    (on_cpu,) = runner_settings(settings, worker="cpu-0", queue="cpu", slots=1, kinds=())
    assert environment_of(on_cpu)["CUDA_VISIBLE_DEVICES"] == ""
    assert on_cpu.inference["device"] == "cpu"


def test_runners_on_cpu_have_cores_and_as_many_threads_of_their_own(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.placement._cores", lambda: [0, 1, 2, 3, 4])
    runners = runner_settings(settings, worker="cpu-0", queue="cpu", slots=2, kinds=())
    assert [list(runner.cores) for runner in runners] == [[0, 2, 4], [1, 3]]
    assert [runner.inference["threads"] for runner in runners] == [3, 2]
    assert [environment_of(runner)["OMP_NUM_THREADS"] for runner in runners] == ["3", "2"]
