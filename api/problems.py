"""Errors as RFC 9457 problem details, each with a stable ``code`` and a sentence that says what to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

log = structlog.get_logger()


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field; ``field`` is its dotted place in the body."""

    field: str
    message: str
    code: str = "invalid"


class Problem(HTTPException):
    """An answer that is an error; raised anywhere while a request is handled."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        state: str | None = None,
    ) -> None:
        super().__init__(status_code=status.value, detail=detail, headers=dict(headers or {}))
        self.code = code
        self.errors = errors
        self.state = state


class FieldErrorView(BaseModel):
    """One field of the request that was refused."""

    field: str
    message: str
    code: str


class ProblemView(BaseModel):
    """What every error looks like (RFC 9457, application/problem+json). ``state``: of the job, where that is why."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldErrorView] | None = None
    state: str | None = None


def not_found(what: str, identifier: str) -> Problem:
    """The thing does not exist, or belongs to somebody else, which must look the same."""
    return Problem(HTTPStatus.NOT_FOUND, "not_found", f"There is no {what} {identifier!r} that this key may see.")


def invalid(errors: Sequence[FieldError]) -> Problem:
    """Fields that can't be accepted; nothing was changed."""
    first = "; ".join(f"{error.field}: {error.message}" if error.field else error.message for error in errors[:5])
    more = f" … and {len(errors) - 5} more" if len(errors) > 5 else ""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", first + more, errors=errors)


def respond(problem: Problem) -> JSONResponse:
    body: dict[str, Any] = {
        "type": f"urn:turnout:problem:{problem.code}",
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
        "code": problem.code,
    }
    if problem.errors:
        body["errors"] = [vars(error) for error in problem.errors]
    if problem.state is not None:
        body["state"] = problem.state
    return JSONResponse(body, problem.status_code, problem.headers, media_type="application/problem+json")


def handle_problems(app: FastAPI) -> None:
    """Make the app answer every error as a problem."""
    for kind, answer in _ANSWERS.items():
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(Exception, _unexpected)


def answer_to(request: Request, exc: Exception) -> JSONResponse | None:
    """What the app answers to an error that a request raised; None for one that nobody foresaw."""
    found = next((answer for kind, answer in _ANSWERS.items() if isinstance(exc, kind)), None)
    return None if found is None else found(request, exc)


def _http(_request: Request, exc: Exception) -> JSONResponse:
    if isinstance(exc, Problem):
        return respond(exc)
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for this class only
    code = HTTPStatus(exc.status_code).name.lower()
    detail = {
        404: "There is no such address; /docs lists those that exist.",
        405: "This address doesn't take that method; /docs lists what it takes.",
    }.get(exc.status_code, str(exc.detail))
    return respond(Problem(HTTPStatus(exc.status_code), code, detail, headers=exc.headers))


def _parameters(_request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for this class only
    errors = [
        FieldError(".".join(str(part) for part in error["loc"][1:]), error["msg"], error["type"])
        for error in exc.errors()
    ]
    return respond(invalid(errors))


def _database(request: Request, exc: Exception) -> JSONResponse:
    if isinstance(exc, DBAPIError) and not isinstance(exc, OperationalError) and not exc.connection_invalidated:
        return _unexpected(request, exc)
    log.error("database_unavailable", error=type(exc).__name__, route=_route(request))
    # The connection may have gone just after a commit.
    detail = (
        "The database can't be reached at the moment. Try again in a few seconds, and submit with the same "
        "Idempotency-Key again: the job may have been accepted."
    )
    headers = {"Retry-After": "2"}
    return respond(Problem(HTTPStatus.SERVICE_UNAVAILABLE, "database_unavailable", detail, headers=headers))


def _unexpected(request: Request, exc: Exception) -> JSONResponse:
    log.error("unexpected_error", error=type(exc).__name__, route=_route(request), exc_info=exc)
    detail = "Something went wrong inside the server; its log has the details. Trying again may help."
    return respond(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail))


_ANSWERS: Mapping[type[Exception], Callable[[Request, Exception], JSONResponse]] = {
    HTTPException: _http,
    RequestValidationError: _parameters,
    OperationalError: _database,
    PoolTimeout: _database,
    DBAPIError: _database,
}


def _route(request: Request) -> str:
    """The route's template: an address itself may name what belongs to a user."""
    return str(getattr(request.scope.get("route"), "path", ""))
