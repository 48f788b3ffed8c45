"""What the jobs do, the same for Turnout and for plain Celery."""

import ctypes
import hashlib
import os
import subprocess
import tempfile
import time

_ROUNDS = 100_000


def take_nap(seconds: float) -> None:
    time.sleep(seconds)


def hold_interpreter(seconds: float) -> None:
    """Sleep in C without giving up the interpreter's lock: no other thread of the process runs meanwhile."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))


def spin_natively(seconds: float) -> None:
    """Keep a core busy in C."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        hashlib.pbkdf2_hmac("sha256", b"chaos", b"salt", _ROUNDS)


def start_children(seconds: float) -> None:
    """Two children, one of which has a child of its own; all are waited for."""
    command = f"sleep {seconds} & sleep {seconds}; wait"
    children = [subprocess.Popen(["/bin/sh", "-c", command]) for _ in range(2)]
    for child in children:
        child.wait()


def eat_memory(size_bytes: int, seconds: float) -> None:
    """Take so much memory, in steps, and keep it for a while."""
    step = 8 << 20
    eaten = []
    for _ in range(0, size_bytes, step):
        eaten.append(b"\1" * step)
    time.sleep(seconds)
    del eaten


def keep_file(size_bytes: int) -> None:
    """To where results that are files go, if nobody keeps them."""
    with tempfile.TemporaryFile() as file:
        file.write(os.urandom(size_bytes))
