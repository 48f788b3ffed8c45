"""The API's other calls as plans: what to ask, and what the answer means."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from turnout.downloads import download
from turnout.errors import Conflict, NotFound, TurnoutError
from turnout.parsing import parse, parse_artifacts, parse_attempts, parse_file, parse_job, parse_leaderboard
from turnout.records import Artifact, Attempt, Event, File, JobRecord, Json, KindRecord, Leaderboard
from turnout.server import Server
from turnout.steps import Give, Listing, Plan, Request
from turnout.transport import Patience, call, get, key_for, patient, post, segment, understood, usually_patient

_Record = TypeVar("_Record")
_PAGE = 100
_EVENTS_PAGE = 1000
# How a job has ended when a request to end it was heeded.
_HEEDED = {
    "cancel": {("cancelled", "cancelled_by_user")},
    "stop": {("cancelled", "stopped_by_user"), ("succeeded", "stopped_by_user"), ("succeeded", "completed")},
}


def job(server: Server, job_id: str) -> Plan[JobRecord]:
    return one(server, _job(job_id), parse_job)


def jobs(
    server: Server, filters: Mapping[str, str | None], tags: Mapping[str, str] | None, limit: int | None
) -> Listing[JobRecord]:
    said = {name: value for name, value in filters.items() if value is not None}
    said |= {f"tag.{name}": value for name, value in (tags or {}).items()}
    return pages(server, "/v1/jobs", "jobs", said, limit, parse_job)


def end(server: Server, job_id: str, how: Literal["cancel", "stop"]) -> Plan[JobRecord]:
    """Sent again when the answer was lost; that the first request ended the job is then no conflict."""
    patience = usually_patient(server)
    try:
        answer = yield from call(server, post(f"{_job(job_id)}/{how}"), repeatable=True, patience=patience)
    except Conflict as exc:
        if patience.failures or exc.state is None:
            record = yield from _job_in_conflict(server, job_id, exc)
            if patience.failures and (record.state, record.reason) in _HEEDED[how]:
                return record
        raise
    return understood(server, answer, parse_job)


def retry(server: Server, job_id: str, idempotency_key: str | None) -> Plan[JobRecord]:
    request = post(f"{_job(job_id)}/retry", idempotency_key=key_for(idempotency_key))
    try:
        answer = yield from call(server, request, repeatable=True)
    except Conflict as exc:
        if exc.state is None:
            yield from _job_in_conflict(server, job_id, exc)
        raise
    return understood(server, answer, parse_job)


def _job_in_conflict(server: Server, job_id: str, conflict: Conflict) -> Plan[JobRecord]:
    """The job, and its state for the error, which older servers leave out. Raises the conflict itself when the job
    can't be read: it tells more."""
    try:
        record = yield from job(server, job_id)
    except TurnoutError:
        raise conflict from None
    conflict.state = record.state
    return record


def events(server: Server, job_id: str, after: int) -> Plan[list[Event]]:
    found: list[Event] = []
    while True:
        parameters: dict[str, str | int] = {"format": "json", "after": after, "limit": _EVENTS_PAGE}
        page = yield from one(server, f"{_job(job_id)}/events", _events_page, parameters)
        if not page[0]:
            return found
        found += page[0]
        after = page[1]


def leaderboard(server: Server, job_id: str) -> Plan[Leaderboard]:
    return one(server, f"{_job(job_id)}/leaderboard", parse_leaderboard)


def leaderboard_csv(server: Server, job_id: str) -> Plan[str]:
    request = Request("GET", f"{_job(job_id)}/leaderboard", headers={"Accept": "text/csv"})
    return (yield from call(server, request, repeatable=True)).body.decode()


def attempts(server: Server, job_id: str) -> Plan[list[Attempt]]:
    return one(server, f"{_job(job_id)}/attempts", parse_attempts)


def artifacts(server: Server, job_id: str) -> Plan[list[Artifact]]:
    return one(server, f"{_job(job_id)}/artifacts", lambda raw: parse_artifacts(raw, job_id))


def download_artifact(server: Server, job_id: str, name: str, target: Path) -> Plan[Path]:
    return download(server, f"{_job(job_id)}/artifacts/{segment(name)}", target, name)


def file(server: Server, file_id: str) -> Plan[File]:
    return one(server, _file(file_id), parse_file)


def files(server: Server, limit: int | None) -> Listing[File]:
    return pages(server, "/v1/files", "files", {}, limit, parse_file)


def download_file(server: Server, wanted: File | str, target: Path) -> Plan[Path]:
    record = wanted if isinstance(wanted, File) else (yield from file(server, wanted))
    return (yield from download(server, f"{_file(record.id)}/content", target, record.name))


def delete_file(server: Server, unwanted: File | str) -> Plan[None]:
    """Sent again when the answer was lost; that the first request deleted the file is then no error."""
    path = _file(unwanted.id if isinstance(unwanted, File) else unwanted)
    patience = usually_patient(server)
    try:
        yield from call(server, Request("DELETE", path), repeatable=True, patience=patience)
    except NotFound:
        if not patience.failures:
            raise


def kind(server: Server, name: str) -> Plan[KindRecord]:
    return one(server, f"/v1/kinds/{segment(name)}", lambda raw: parse(KindRecord, raw))


def probe(server: Server, path: str, record: type[_Record]) -> Plan[_Record]:
    """Asked once: how the server is now."""
    return one(server, path, lambda raw: parse(record, raw), patience=patient(0.0))


def one(
    server: Server,
    path: str,
    parse_it: Callable[[Any], _Record],
    parameters: Mapping[str, str | int] | None = None,
    patience: Patience | None = None,
) -> Plan[_Record]:
    """What can be read at an address."""
    answer = yield from call(server, get(path, parameters), repeatable=True, patience=patience)
    return understood(server, answer, parse_it)


def webhook_secret(server: Server) -> Plan[str]:
    return one(server, "/v1/webhook-secret", _secret)


def replace_webhook_secret(server: Server) -> Plan[str]:
    """Not repeated: the second time would end the overlap of the secret that is in use."""
    answer = yield from call(server, post("/v1/webhook-secret/replace"), repeatable=False)
    return understood(server, answer, _secret)


def several(server: Server, path: str, name: str, record: type[_Record]) -> Plan[list[_Record]]:
    """A whole list, which stands under ``name``."""
    return one(server, path, lambda raw: [parse(record, item) for item in raw[name]])


def _secret(raw: Json) -> str:
    return str(raw["secret"])


def pages(
    server: Server,
    path: str,
    name: str,
    filters: Mapping[str, str],
    limit: int | None,
    parse_it: Callable[[Json], _Record],
) -> Listing[_Record]:
    """A list that is read page by page; ``limit`` ends it after so many."""
    cursor: str | None = None
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(left, _PAGE)
        parameters: dict[str, str | int] = {**filters, "limit": size, **({"cursor": cursor} if cursor else {})}
        items, cursor = yield from one(
            server, path, lambda raw: (list(map(parse_it, raw[name])), raw["next_cursor"]), parameters
        )
        for item in items:
            yield Give(item)
        if cursor is None:
            return
        left = None if left is None else left - len(items)


def _events_page(raw: Json) -> tuple[list[Event], int]:
    return [parse(Event, event) for event in raw["events"]], raw["next_after"]


def _job(job_id: str) -> str:
    return f"/v1/jobs/{segment(job_id)}"


def _file(file_id: str) -> str:
    return f"/v1/files/{segment(file_id)}"
