"""Which GPUs this machine has."""

import shutil
import subprocess
from collections.abc import Sequence

_ANSWER_SECONDS = 20


def gpu_numbers() -> Sequence[int]:
    """The numbers that NVIDIA's driver gives them; none where there is no driver, or where it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    command = [program, "--query-gpu=index", "--format=csv,noheader"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_ANSWER_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return ()
    return [int(line) for line in asked.stdout.split() if line.isdigit()]
