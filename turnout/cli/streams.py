"""Standard output and error as they really are: closed, full, a pipe nobody reads, or of an old encoding."""

import errno
import os
import sys
from typing import Any, TextIO

from rich.console import Console

# What a shell says of a program that SIGPIPE ended, which is how most others end when nobody reads them any more.
NOBODY_READS = 128 + 13


class Screen(Console):
    """rich would end the program with 1, which here says that a job failed."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def prepare() -> None:
    """Once, before anything is printed: a stream that is closed swallows everything, and one that can't hold a
    character shows another in its place."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for the process's life
        elif not is_unicode(stream):
            stream.reconfigure(errors="replace")


def is_unicode(stream: TextIO) -> bool:
    """Whether it takes every character."""
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def abandon_broken() -> None:
    """Let go of the streams that take nothing more, so that the interpreter does not complain of them at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
