"""What can go wrong between a program and the server, as a typed tree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from turnout.records import JobRecord


class TurnoutError(Exception):
    """Anything that this package raises; its text says what to do."""


class ServerUnreachable(TurnoutError):
    """Nobody answers at the server's address, or the connection broke."""


class Unusable(TurnoutError):
    """What was given can't be used: an address, a key, a spec or a name. Nothing was sent or kept."""


class ClientClosed(TurnoutError):
    """The client was closed, maybe by another thread, and can't be used any more. Make a new one."""


class WaitedTooLong(TurnoutError):
    """The job was not final in time. It goes on; wait again, or cancel it."""


class JobFailed(TurnoutError):
    """A result was asked of a job that ended without one; ``job`` tells how."""

    def __init__(self, job: "JobRecord") -> None:
        message = job.error["message"] if job.error else f"reason: {job.reason}"
        super().__init__(f"Job {job.id} {'failed' if job.state == 'failed' else f'is {job.state}'}: {message}")
        self.job = job


class BrokenDownload(TurnoutError):
    """What arrived is not what the server has; nothing was kept. Try again."""


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request."""

    field: str
    message: str
    code: str


class Refused(TurnoutError):
    """The server answered with a problem (RFC 9457): HTTP ``status``, stable ``code``, a sentence, and wrong fields."""

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.errors = tuple(errors)


class NotAllowed(Refused):
    """The API key is missing, unknown or revoked."""


class NotFound(Refused):
    """There is no such thing, or it belongs to somebody else."""


class Conflict(Refused):
    """It can't be done in the present state, such as cancelling a finished job."""


class Invalid(Refused):
    """The request is wrong; ``errors`` name the fields."""


class ServerTrouble(Refused):
    """The server could not do it, though the request is right. Trying again may help."""


def refused(status: int, problem: Mapping[str, Any]) -> Refused:
    """The error for an answer that is no success."""
    errors = [FieldError(str(e["field"]), str(e["message"]), str(e["code"])) for e in problem.get("errors") or ()]
    code = str(problem.get("code") or f"http_{status}")
    detail = str(problem.get("detail") or f"The server answered with the status {status}.")
    known = {401: NotAllowed, 403: NotAllowed, 404: NotFound, 409: Conflict}
    made: type[Refused] = known.get(status) or (ServerTrouble if status >= 500 else Invalid)
    return made(status, code, detail, errors)
