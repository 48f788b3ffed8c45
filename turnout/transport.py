"""Requests as plans: errors translated, and sent again only where that is safe."""

import json
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from turnout.errors import Invalid, NotAllowed, NotFound, Refused, ServerTrouble, ServerUnreachable, Unusable, refused
from turnout.server import Server, require_header
from turnout.steps import Answer, Pause, Plan, Read, Request, Send

_Result = TypeVar("_Result")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
# Not handled, or handled by something between us and the server that can't tell.
_PASSING = frozenset({429, 502, 503, 504})
# How long a request is tried again after its first failure: at a server that never answered this client, which may
# not exist; at one that did; and by whoever follows a job and should outlast a restart of the server.
PATIENCE_SECONDS = 2.0
KNOWN_PATIENCE_SECONDS = 20.0
FOLLOWING_PATIENCE_SECONDS = 60.0


class Patience:
    """How often to try again. It begins with the first failure: before it, a stream may have been quiet for hours."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.failures = 0
        self._seconds = seconds
        self._since: float | None = None
        self._pause = _FIRST_PAUSE_SECONDS

    def pause(self, at_least_seconds: float = 0.0) -> float | None:
        """Seconds until the next try; None when it has ended. ``at_least_seconds`` is what the server asks for."""
        self.failures += 1
        now = time.monotonic()
        if self._since is None:
            self._since = now
        # With everyone's pause a little different, a server that comes back is not met by all at once.
        pause = at_least_seconds + self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        if now + pause > self._since + self._seconds():
            return None
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        return pause

    def renew(self) -> None:
        """Something was achieved; the next failure is a new one."""
        self._since, self._pause = None, _FIRST_PAUSE_SECONDS


def patient(seconds: float) -> Patience:
    return Patience(lambda: seconds)


def usually_patient(server: Server) -> Patience:
    """For a call that nobody follows anything with."""
    return Patience(lambda: KNOWN_PATIENCE_SECONDS if server.answered else PATIENCE_SECONDS)


def call(server: Server, request: Request, *, repeatable: bool, patience: Patience | None = None) -> Plan[Answer]:
    """The answer, a success. Raises ``Refused`` and ``ServerUnreachable``.

    ``repeatable``: doing it twice is as good as once, so it is sent again also when nobody knows whether it arrived;
    else only when it never did. Patience is the usual one if none is given.
    """
    patience = patience or usually_patient(server)
    while True:
        if request.file is not None:
            request.file[1].seek(0)
        try:
            answer: Answer = yield Send(request)
        except httpx.RequestError as exc:
            never_arrived = isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout)
            pause = patience.pause() if repeatable or never_arrived else None
            if pause is None:
                raise _translated(server, exc) from exc
        else:
            server.answered = True
            passing = repeatable and answer.status in _PASSING
            pause = patience.pause(retry_after_seconds(answer)) if passing else None
            if pause is None:
                check(server, answer)
                return answer
        yield Pause(pause)


def opened(server: Server, request: Request) -> Plan[Answer]:
    """The head of an answer whose body is read bit by bit. Not repeated: only the caller knows what it has read."""
    try:
        answer: Answer = yield Send(request, streamed=True)
    except httpx.RequestError as exc:
        raise _translated(server, exc) from exc
    server.answered = True
    check(server, answer)
    return answer


def read(server: Server) -> Plan[bytes]:
    """The next bytes of it; none at its end."""
    try:
        piece: bytes = yield Read()
    except httpx.RequestError as exc:
        raise server.unreachable(exc) from exc
    return piece


def get(path: str, parameters: Mapping[str, str | int] | None = None, *, read_seconds: float = 60.0) -> Request:
    return Request("GET", path, parameters or {}, read_seconds=read_seconds)


def post(path: str, body: object = None, *, idempotency_key: str | None = None) -> Request:
    """Raises ``Unusable`` for what JSON or a header can't carry."""
    headers = {}
    if idempotency_key is not None:
        require_header("The idempotency key", idempotency_key)
        headers["Idempotency-Key"] = idempotency_key
    request = Request("POST", path, headers=headers)
    if body is None:
        return request
    try:
        content = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise Unusable(f"This can't be written as JSON: {exc}.") from exc
    return replace(request, content=content, headers={**headers, "Content-Type": "application/json"})


def key_for(given: str | None) -> str:
    """With a key of its own, a submission whose answer was lost is sent again without making a second job. Raises
    ``Unusable`` for an empty key, which would stand for nothing."""
    if given == "":
        raise Unusable("The idempotency key is empty.")
    return str(uuid.uuid4()) if given is None else given


def segment(value: str) -> str:
    """An id or a name as one part of an address. Raises ``Unusable`` for what would lead to another address."""
    if value in ("", ".", ".."):
        raise Unusable(f"{value!r} is no id or name of anything.")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as exc:
        raise Unusable(f"{value!r} is no text; give it in UTF-8.") from exc


def understood(server: Server, answer: Answer, parse: Callable[[Any], _Result]) -> _Result:
    """What the answer says. Raises ``ServerTrouble`` for one that no Turnout server gives."""
    try:
        return parse(json.loads(answer.body))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise no_turnout(server, answer) from exc


def no_turnout(server: Server, answer: Answer) -> Refused:
    detail = f"What answers at {server.url} is no Turnout server, or a much newer one; look at TURNOUT_URL."
    return ServerTrouble(answer.status, "not_turnout", detail)


def check(server: Server, answer: Answer) -> None:
    """Raises ``Refused`` for an answer that is no success."""
    if answer.is_success:
        return
    if answer.status == httpx.codes.UNAUTHORIZED and not server.has_key:
        detail = f"No API key is known for {server.url}; set TURNOUT_API_KEY, or start the server with `turnout up`."
        raise NotAllowed(answer.status, "key_missing", detail)
    if "location" in answer.headers and httpx.codes.is_redirect(answer.status):
        detail = f"{server.url} sends its visitors on to {answer.headers['location']}; set TURNOUT_URL to that server."
        raise Invalid(answer.status, "redirected", detail)
    try:
        problem = json.loads(answer.body)
    except ValueError:
        problem = None
    if isinstance(problem, dict) and "code" in problem:
        raise refused(answer.status, problem)
    if answer.status == httpx.codes.NOT_FOUND:
        raise NotFound(answer.status, "not_turnout", str(no_turnout(server, answer)))
    raise refused(answer.status, {})


def is_passing(trouble: ServerUnreachable | ServerTrouble) -> bool:
    """Whether the same request may be answered in a moment."""
    return isinstance(trouble, ServerUnreachable) or trouble.status in _PASSING


def retry_after_seconds(answer: Answer) -> float:
    """What the server asks for, in seconds or as a time (RFC 9110, 10.2.3); 0 if it asks for nothing."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        when = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _translated(server: Server, exc: httpx.RequestError) -> Exception:
    if isinstance(exc, httpx.LocalProtocolError):
        return Unusable(f"This can't be sent: {exc}. Did the file change meanwhile?")
    return server.unreachable(exc)
