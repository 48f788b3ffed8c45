"""What H2O says when something fails, turned into the project's errors and into words without Java in them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import InvalidInput, JobError, JobOutOfMemory, UpstreamError

_JAVA_NAME = re.compile(
    r"(?:\b(?:[a-z_]\w*\.)+)?\bDistributedException from \S+?:\d+:?\s*"
    r"|\b(?:[a-z_]\w*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable)\b:?\s*"
    r"|\bclass (?:[a-z_]\w*\.)+[A-Z][\w$]*\s*"
)
_STACK = re.compile(r"\n\s*at |\n?Caused by:|\n?Stacktrace:", re.IGNORECASE)


class H2OError(Exception):
    """An answer of H2O with a status of 400 or more; the message is one line without a Java stack."""

    def __init__(self, status: int, exception_type: str, message: str) -> None:
        super().__init__(f"{status} {exception_type}: {message}")
        self.status = status
        self.exception_type = exception_type
        self.message = message


def plain_message(text: str) -> str:
    """The sentence in an H2O error: no exception names, no stack, one line, at most 500 characters."""
    head = _STACK.split(text.replace("ERROR MESSAGE:", " "), maxsplit=1)[0]
    return " ".join(_JAVA_NAME.sub("", head).split())[:500]


def translate(error: H2OError, doing: str) -> JobError:
    """The job error for what H2O answered while ``doing`` something (a phrase such as "parsing the data")."""
    if "OutOfMemory" in error.exception_type or "heap space" in error.message:
        return out_of_memory(doing)
    if "already in use" in error.message:
        return UpstreamError(f"H2O still works on the job's data at {doing}; the job will be tried again.")
    if error.status in (400, 412):
        return InvalidInput(f"H2O refused {doing}: {error.message}")
    return UpstreamError(f"H2O failed at {doing}: {error.message or f'status {error.status}'}")


def out_of_memory(doing: str) -> JobOutOfMemory:
    return JobOutOfMemory(
        f"H2O ran out of memory at {doing}; use less data, or give the cluster a larger heap (four times the data)."
    )


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Translate what H2O refuses inside the block; ``what`` is a phrase such as "splitting the dataset"."""
    try:
        yield
    except H2OError as exc:
        raise translate(exc, what) from exc
