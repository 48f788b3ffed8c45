"""From the server's JSON to records. Fields that a newer server adds are passed over."""

from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from turnout.records import (
    Artifact,
    Attempt,
    ComparedItem,
    ComparedMetric,
    Comparison,
    DifferingOption,
    Event,
    File,
    JobRecord,
    Json,
    Leaderboard,
    LeaderboardRow,
    Progress,
    TableColumn,
    TableSchema,
    WebhookRecord,
)

_Record = TypeVar("_Record")
_BESIDE_METRICS = {"rank", "model_id", "algo"}


def parse(record: type[_Record], raw: Json, /, **more: Any) -> _Record:
    """A record whose fields have the JSON's names; those that end in ``_at`` are times, arrays become tuples."""
    values = {**raw, **more}
    names = {field.name for field in fields(record)}  # type: ignore[arg-type] # only called with dataclasses
    return record(**{name: _value(name, value) for name, value in values.items() if name in names})


def parse_job(raw: Json) -> JobRecord:
    # Older servers have none.
    webhook = raw.get("webhook")
    heard = None if webhook is None else parse(WebhookRecord, webhook)
    return parse(JobRecord, raw, progress=parse(Progress, raw["progress"]), webhook=heard, raw=raw)


def parse_attempts(raw: Json) -> list[Attempt]:
    return [parse(Attempt, attempt) for attempt in raw["attempts"]]


def parse_artifacts(raw: Json, job_id: str) -> list[Artifact]:
    return [parse(Artifact, artifact, job_id=job_id) for artifact in raw["artifacts"]]


def parse_file(raw: Json) -> File:
    table = raw.get("table")
    return parse(File, raw, table=None if table is None else _table(table))


def _table(raw: Json) -> TableSchema:
    return parse(TableSchema, raw, columns=[parse(TableColumn, column) for column in raw["columns"]])


def parse_event(raw: Json) -> Event:
    return parse(Event, raw)


def parse_leaderboard(raw: Json) -> Leaderboard:
    rows = tuple(
        LeaderboardRow(
            rank=row["rank"],
            model_id=row["model_id"],
            algo=row["algo"],
            metrics={name: value for name, value in row.items() if name not in _BESIDE_METRICS},
        )
        for row in raw["rows"]
    )
    # Older servers tell nothing of kept models.
    kept = raw.get("kept", {})
    return Leaderboard(rows=rows, sort_metric=raw["sort_metric"], complete=raw["complete"], raw=raw, kept=kept)


def parse_comparison(raw: Json) -> Comparison:
    return Comparison(
        items=tuple(parse(ComparedItem, item) for item in raw["items"]),
        comparable=raw["comparable"],
        caveats=tuple(raw["caveats"]),
        metrics=tuple(parse(ComparedMetric, metric) for metric in raw["metrics"]),
        options=tuple(DifferingOption(option["name"], tuple(option["values"])) for option in raw["options"]),
        raw=raw,
    )


def _value(name: str, value: Any) -> Any:
    if name.endswith("_at") and isinstance(value, str):
        return datetime.fromisoformat(value)
    return tuple(value) if isinstance(value, list) else value
