"""The API's calls about named models, as plans."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from turnout.calls import one, pages
from turnout.downloads import download
from turnout.errors import NotFound, Unusable
from turnout.parsing import parse, parse_comparison
from turnout.records import Artifact, Comparison, File, HubModel, Json, ModelVersion
from turnout.server import Server
from turnout.steps import Listing, Plan, Request
from turnout.submissions import HasId, upload
from turnout.transport import call, post, segment, understood, usually_patient

Source = File | Artifact | HubModel | Path | Mapping[str, str]
Compared = ModelVersion | HasId | str


def add(
    server: Server, name: str, source: Source, description: str, tags: Mapping[str, str] | None
) -> Plan[ModelVersion]:
    """Not repeated where the answer was lost: the second time would add another version."""
    body = {
        "name": name,
        "source": (yield from _source(server, source)),
        "description": description,
        "tags": dict(tags or {}),
    }
    answer = yield from call(server, post("/v1/models", body), repeatable=False)
    return understood(server, answer, _parsed)


def listed(server: Server, limit: int | None) -> Listing[ModelVersion]:
    return pages(server, "/v1/models", "models", {}, limit, _parsed)


def version(server: Server, name: str, number: int | None) -> Plan[ModelVersion]:
    return one(server, _path(name, number), _parsed)


def versions(server: Server, name: str) -> Plan[list[ModelVersion]]:
    return one(server, f"{_path(name)}/versions", lambda raw: [_parsed(item) for item in raw["versions"]])


def delete(server: Server, name: str, number: int | None) -> Plan[None]:
    """Sent again when the answer was lost; that the first request deleted it is then no error."""
    patience = usually_patient(server)
    try:
        yield from call(server, Request("DELETE", _path(name, number)), repeatable=True, patience=patience)
    except NotFound:
        if not patience.failures:
            raise


def download_model(server: Server, name: str, number: int | None, target: Path) -> Plan[Path]:
    """Which version is asked for first, so that one that is added meanwhile doesn't mix with it. A directory keeps it
    under the model's name."""
    record = yield from version(server, name, number)
    content = f"{_path(name, record.version)}/content"
    suffix = {"application/zip": ".zip"}.get(record.media_type or "")
    if suffix is None:
        suffix = PurePath(record.source.get("artifact", "")).suffix
    return (yield from download(server, content, target, f"{record.name}{suffix}"))


def compare(server: Server, items: Sequence[Compared]) -> Plan[Comparison]:
    # A parameter that is repeated has no place in a mapping.
    query = "&".join(f"item={segment(_item(item))}" for item in items)
    answer = yield from call(server, Request("GET", f"/v1/comparison?{query}"), repeatable=True)
    return understood(server, answer, parse_comparison)


def _item(item: Compared) -> str:
    match item:
        case str():
            return item
        case ModelVersion():
            return f"model:{item.name}/{item.version}"
    return f"job:{item.id}"


def _source(server: Server, source: Source) -> Plan[Json]:
    match source:
        case Path():
            return {"file": (yield from upload(server, source)).id}
        case File():
            return {"file": source.id}
        case Artifact():
            return {"job": source.job_id, "artifact": source.name}
        case HubModel():
            return {"hub": source.hub, "revision": source.revision}
        case Mapping():
            return source
    raise Unusable(f"A model is named from a File, an Artifact, a HubModel or a Path, not from {source!r}.")


def _parsed(raw: Json) -> ModelVersion:
    return parse(ModelVersion, raw)


def _path(name: str, number: int | None = None) -> str:
    base = f"/v1/models/{segment(name)}"
    return base if number is None else f"{base}/versions/{number}"
