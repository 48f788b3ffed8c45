"""Whether a process that a test watches still lives."""

import psutil


def lives(process: psutil.Process) -> bool:
    """A zombie doesn't, nor does one that ends while it is looked at."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def pid_lives(pid: int) -> bool:
    try:
        return lives(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False
