"""``turnout doctor``: what keeps jobs from being submitted and run, and what to do."""

import ipaddress
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, TypeVar

import click
import httpx

from turnout.cli.endings import Exit
from turnout.cli.findings import Finding, any_fails, print_findings
from turnout.cli.session import Session, json_option, pass_session
from turnout.connection import DEFAULT_URL, Connection, find_connection
from turnout.driver import Driver
from turnout.errors import NotAllowed, NotFound, Refused, ServerTrouble, ServerUnreachable, TurnoutError
from turnout.steps import Request
from turnout.transport import call, patient, understood

_Answer = TypeVar("_Answer")
_MOST_SKEW_SECONDS = 5.0
_SLOW_SECONDS = 1.0
# The server's own looking around ends before.
_ANSWER_SECONDS = 15.0
_FORBIDDEN = 403
_CHOSEN = ("TURNOUT_URL", "TURNOUT_API_KEY")


@click.command()
@click.option("--local", is_flag=True, help="Look at this machine instead: could `turnout up` run here?")
@json_option
@pass_session
def doctor(session: Session, local: bool, as_json: bool) -> None:
    """Look for what is wrong, and say what to do.

    An admin's key is told about the server's database, broker, workers and disk too. Exit codes: 0 nothing fails, 1
    something does, 4 the key is refused, 7 the server is not reachable.
    """
    findings, code = (_here(), Exit.SUCCEEDED) if local else _of_server(session)
    print_findings(session, findings, as_json=as_json)
    click.get_current_context().exit(code or (Exit.FAILED if any_fails(findings) else Exit.SUCCEEDED))


def _here() -> list[Finding]:
    # It runs on Unix only, and submitting needs none of it.
    from turnout.cli.doctor_local import local_findings

    return local_findings()


def _of_server(session: Session) -> tuple[list[Finding], Exit]:
    connection = find_connection(session.url)
    findings = [_configuration(session, connection)]
    driver = Driver(connection)
    try:
        try:
            findings += [_server(driver), _version(driver)]
        except ServerUnreachable as exc:
            findings.append(Finding("server", "fail", str(exc)))
            return [*findings, *(_here() if _origin(session) is None else [])], Exit.UNREACHABLE
        more, code = _told(driver)
        return [*findings, *more], code
    except TurnoutError as exc:
        # It answers, but not as a Turnout server does.
        return [*findings, Finding("server", "fail", str(exc))], Exit.FAILED
    finally:
        driver.close()


def _origin(session: Session) -> str | None:
    """Where the address comes from; None: nobody said one."""
    if session.url:
        return "--url"
    if os.environ.get("TURNOUT_URL"):
        return "TURNOUT_URL"
    remembered = find_connection(environment=_unchosen())
    return "`turnout up`" if remembered.url != DEFAULT_URL or remembered.api_key is not None else None


def _unchosen() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _CHOSEN}


def _configuration(session: Session, connection: Connection) -> Finding:
    origin = _origin(session)
    said = f"from {origin}" if origin else "the default, since none is set and no `turnout up` left one"
    message = f"The server is {connection.url} ({said})"
    if connection.api_key is None:
        advice = "Set TURNOUT_API_KEY: `turnout up` writes the first key to api-key in its home."
        return Finding("configuration", "warn", f"{message}; no key is known for it.", advice)
    address = httpx.URL(connection.url)
    if address.scheme == "http" and not _is_loopback(address.host):
        advice = "Use https, by a proxy before the server: everybody on the way can read the key."
        return Finding("configuration", "warn", f"{message}; the key travels there unencrypted.", advice)
    place = "TURNOUT_API_KEY" if os.environ.get("TURNOUT_API_KEY") else "the file that `turnout up` wrote"
    return Finding("configuration", "ok", f"{message}, the key from {place}.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ask(driver: Driver, path: str, parse: Callable[[Any], _Answer]) -> _Answer:
    """Once, and without the patience of other calls: this is about how the server is now."""
    request = Request("GET", path, read_seconds=_ANSWER_SECONDS)
    answer = driver.run(call(driver.server, request, repeatable=True, patience=patient(0.0)))
    return understood(driver.server, answer, parse)


def _server(driver: Driver) -> Finding:
    started = time.perf_counter()
    _ask(driver, "/healthz", lambda raw: raw["status"])
    took = time.perf_counter() - started
    if took > _SLOW_SECONDS:
        return Finding("server", "warn", f"It answers in {took:.1f} s.", "Look at its load and the network between.")
    return Finding("server", "ok", f"It answers in {1000 * took:.0f} ms.")


def _version(driver: Driver) -> Finding:
    mine = version("turnout")
    theirs = _ask(driver, "/openapi.json", lambda raw: str(raw["info"]["version"]))
    if theirs != mine:
        advice = "Install the same version here, or there."
        return Finding("version", "warn", f"The server has version {theirs}, this command {mine}.", advice)
    return Finding("version", "ok", f"Server and command have version {mine}.")


def _told(driver: Driver) -> tuple[list[Finding], Exit]:
    """What the server says of itself."""
    before = datetime.now(UTC)
    try:
        examined_at, findings = _ask(driver, "/v1/doctor", _examination)
    except NotAllowed as exc:
        if exc.status != _FORBIDDEN:
            return [Finding("key", "fail", str(exc), "Set TURNOUT_API_KEY to a key of this server.")], Exit.NOT_ALLOWED
        left_out = Finding("examination", "warn", "The server tells the rest to admins only.", "Use an admin's key.")
        return [Finding("key", "ok", "The key is valid."), left_out, _ready(driver)], Exit.SUCCEEDED
    except NotFound:
        message = "The server is too old to look at itself."
        return [
            Finding("examination", "warn", message, "Install a newer version there."),
            _ready(driver),
        ], Exit.SUCCEEDED
    except ServerTrouble as exc:
        return [Finding("examination", "fail", str(exc), "Its log has more.")], Exit.SUCCEEDED
    skew = (examined_at - (before + (datetime.now(UTC) - before) / 2)).total_seconds()
    return [Finding("key", "ok", "The key is valid, and an admin's."), _clock(skew), *findings], Exit.SUCCEEDED


def _examination(raw: Any) -> tuple[datetime, list[Finding]]:
    findings = [
        Finding(finding["name"], finding["status"], finding["message"], finding["advice"])
        for finding in raw["findings"]
    ]
    return datetime.fromisoformat(raw["examined_at"]), findings


def _ready(driver: Driver) -> Finding:
    try:
        _ask(driver, "/readyz", lambda raw: raw["status"])
    except Refused as exc:
        return Finding("ready", "fail", str(exc), "Ask the operator.")
    return Finding("ready", "ok", "Jobs can be submitted.")


def _clock(skew_seconds: float) -> Finding:
    if abs(skew_seconds) > _MOST_SKEW_SECONDS:
        direction = "ahead of" if skew_seconds > 0 else "behind"
        message = f"The server's clock is {abs(skew_seconds):.0f} s {direction} this machine's."
        return Finding("clock", "warn", message, "Set both by NTP; ages and times of jobs look wrong until then.")
    return Finding("clock", "ok", f"The clocks here and there differ by {abs(skew_seconds):.1f} s.")
