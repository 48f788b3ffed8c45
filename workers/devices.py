"""Which GPUs this machine has, asked without any ML library."""

import csv
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

_ASK = ["--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
_ANSWER_SECONDS = 20


@dataclass(frozen=True)
class Gpu:
    """A graphics processor, by its number in the order of the PCI bus and its lasting id."""

    index: int
    uuid: str
    name: str
    memory_bytes: int


class NoSuchDevice(Exception):
    """There is no such GPU here; the message names those that are there."""


def gpus() -> Sequence[Gpu]:
    """What NVIDIA's driver knows; nothing where there is none, or where it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        asked = subprocess.run([program, *_ASK], capture_output=True, text=True, check=True, timeout=_ANSWER_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return ()
    return read_gpus(asked.stdout)


def read_gpus(answer: str) -> Sequence[Gpu]:
    """Read nvidia-smi's answer; memory is in MiB there, or ``[N/A]`` where it is the machine's own."""
    rows = csv.reader(answer.splitlines(), skipinitialspace=True)
    return [
        Gpu(int(index), uuid, name, int(memory) << 20 if memory.isdigit() else 0)
        for index, uuid, name, memory in filter(None, rows)
    ]


def gpu_named(device: str, present: Sequence[Gpu]) -> Gpu:
    """The GPU of that number or id. Raises ``NoSuchDevice``."""
    for gpu in present:
        if device in (str(gpu.index), gpu.uuid):
            return gpu
    there = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in present) or "none"
    raise NoSuchDevice(f"There is no GPU {device} here; those that nvidia-smi knows: {there}.")
