"""How the command ends: exit codes that scripts can rely on."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path

import click
from rich.text import Text

from turnout.cli.streams import Screen
from turnout.errors import (
    BrokenDownload,
    Invalid,
    NotAllowed,
    NotFound,
    Refused,
    ServerUnreachable,
    TurnoutError,
    Unusable,
    WaitedTooLong,
)
from turnout.records import JobRecord


class Exit(IntEnum):
    """0 to 3 tell how a job ended that was waited for."""

    SUCCEEDED = 0
    FAILED = 1
    USAGE = 2
    CANCELLED = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    WAITED_TOO_LONG = 6
    UNREACHABLE = 7
    INTERRUPTED = 130


def of_job(record: JobRecord) -> Exit:
    """The exit code of a final job."""
    return {"succeeded": Exit.SUCCEEDED, "cancelled": Exit.CANCELLED}.get(record.state, Exit.FAILED)


class Ended(click.ClickException):
    """Ends the command with one sentence, further lines, and an exit code."""

    def __init__(self, message: str, code: Exit, more: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc] # click's documented way
        self.code = code
        self.more = more

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        console = Screen(stderr=True, highlight=False, soft_wrap=True)
        # Where nobody reads the sentence the exit code still tells.
        with suppress(OSError):
            # Only a ``Text`` is safe from what looks like markup in a message.
            if self.message:
                heading = Text("Error: ", style="bold red") if self.exit_code != Exit.INTERRUPTED else Text()
                console.print(Text.assemble(heading, self.message))
            for line in self.more:
                console.print(Text(line))


def ended_by(error: TurnoutError, accepted_id: str | None = None) -> Ended:
    """The ending that stands for an error; ``accepted_id``: of the job that was submitted before it."""
    more = (f"Job {accepted_id} was submitted: turnout watch {accepted_id}",) if accepted_id else ()
    codes: list[tuple[type[TurnoutError], Exit]] = [
        (NotAllowed, Exit.NOT_ALLOWED),
        (NotFound, Exit.NOT_FOUND),
        (WaitedTooLong, Exit.WAITED_TOO_LONG),
        (ServerUnreachable, Exit.UNREACHABLE),
        (Invalid, Exit.USAGE),
        (Unusable, Exit.USAGE),
        (BrokenDownload, Exit.FAILED),
    ]
    code = next((code for kind, code in codes if isinstance(error, kind)), Exit.FAILED)
    if isinstance(error, Refused) and error.errors:
        return Ended(
            "The server refused this.", code, tuple(f"  {e.field}: {e.message}".rstrip() for e in error.errors) + more
        )
    return Ended(str(error), code, more)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """For keeping local files: what goes wrong there is said of the place that was given."""
    try:
        yield
    except OSError as exc:
        message = f"{place} can't be written: {exc.strerror or exc}. Choose another place with -o."
        raise Ended(message, Exit.FAILED) from exc


def detached(job_id: str) -> Ended:
    """Ctrl-C while following a job: the job goes on."""
    lines = (f"  turnout watch {job_id}    to follow it again", f"  turnout cancel {job_id}   to end it")
    return Ended("\nDetached; the job goes on.", Exit.INTERRUPTED, lines)
