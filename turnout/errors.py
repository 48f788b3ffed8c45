"""What can go wrong between a program and the server, as a typed tree.

::

    TurnoutError
    ├── ServerUnreachable      nobody answers, or the connection broke
    ├── Refused                the server answered with a problem
    │   ├── NotAllowed         401, 403
    │   ├── NotFound           404
    │   ├── Conflict           409, with the job's state
    │   ├── Invalid            what else is wrong with the request: 400, 415, 422, with the fields
    │   │   └── TooLarge       413
    │   └── ServerTrouble      429 and 5xx: the request is right
    │       └── StorageFull    507
    ├── JobFailed              a result was asked of a job that ended without one
    │   └── JobCancelled
    ├── WaitedTooLong
    ├── BrokenDownload
    ├── ExportFailed
    ├── Unusable               what was given can't be used; nothing was sent
    └── ClientClosed

The text of each says what to do, and its ``code`` is stable, for programs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from turnout.records import JobRecord


class TurnoutError(Exception):
    """Anything that this package raises; its text says what to do, ``code`` names it for programs."""

    code = "error"


class ServerUnreachable(TurnoutError):
    """Nobody answers at the server's address, or the connection broke, for longer than it was worth trying again.
    Whether the server did what was asked is not known; only what it is safe to repeat was tried more than once."""

    code = "server_unreachable"


class Unusable(TurnoutError):
    """What was given can't be used: an address, a key, a proxy, a spec or a name. Nothing was sent or kept."""

    code = "unusable"


class ClientClosed(TurnoutError):
    """The client was closed, maybe by another thread, and can't be used any more. Make a new one."""

    code = "client_closed"


class WaitedTooLong(TurnoutError):
    """The job was not final in time. It goes on; wait again, or cancel it."""

    code = "waited_too_long"


class JobFailed(TurnoutError):
    """A result was asked of a job that ended without one; ``job`` tells how, ``code`` is its reason, such as
    ``out_of_memory``."""

    def __init__(self, job: "JobRecord") -> None:
        super().__init__(job)
        self.job = job
        self.code = job.reason or job.state

    def __str__(self) -> str:
        job = self.job
        message = job.error["message"] if job.error else f"reason: {job.reason}"
        return f"Job {job.id} {'failed' if job.state == 'failed' else f'is {job.state}'}: {message}"


class JobCancelled(JobFailed):
    """A result was asked of a job that was cancelled, or stopped before it had anything to keep."""


class BrokenDownload(TurnoutError):
    """What arrived is not what the server has; nothing was kept. Try again."""

    code = "broken_download"


class ExportFailed(TurnoutError):
    """MLflow did not take the run; what it took until then is there, and exporting again completes it."""

    code = "export_failed"


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request; ``field`` is its dotted place, such as ``spec.max_models``."""

    field: str
    message: str
    code: str


class Refused(TurnoutError):
    """The server answered with a problem (RFC 9457): HTTP ``status``, stable ``code``, a sentence, and wrong fields."""

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(status, code, detail, tuple(errors))
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return self.detail


class NotAllowed(Refused):
    """The API key is missing, unknown or revoked, or doesn't allow this."""


class NotFound(Refused):
    """There is no such thing, or it belongs to somebody else."""


class Conflict(Refused):
    """It can't be done in the present state: cancelling a job that is final, retrying one that is not, deleting a file
    that a job reads, an idempotency key used before for something else. ``state``: of the job, where it is about
    one."""

    state: str | None = None


class Invalid(Refused):
    """The request is wrong; ``errors`` name the fields. The same request will be refused again."""


class TooLarge(Invalid):
    """A file, or a submission, is larger than the server takes."""


class ServerTrouble(Refused):
    """The server could not do it, though the request is right: it is overloaded, or lacks its database. What is safe to
    repeat was tried again for a while; trying again later may help."""


class StorageFull(ServerTrouble):
    """The server's disk has no room for this file."""


_BY_STATUS: Mapping[int, type[Refused]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    429: ServerTrouble,
    507: StorageFull,
}


def refused(status: int, problem: Mapping[str, Any]) -> Refused:
    """The error for an answer that is no success."""
    raw = problem.get("errors")
    errors = [
        FieldError(str(error.get("field", "")), str(error.get("message", "")), str(error.get("code", "")))
        for error in (raw if isinstance(raw, list) else ())
        if isinstance(error, dict)
    ]
    code = str(problem.get("code") or f"http_{status}")
    detail = str(problem.get("detail") or f"The server answered with the status {status}.")
    made = _BY_STATUS.get(status) or (ServerTrouble if status >= 500 else Invalid)
    error = made(status, code, detail, errors)
    state = problem.get("state")
    if isinstance(error, Conflict) and isinstance(state, str):
        error.state = state
    return error
