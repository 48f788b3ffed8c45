"""What a job made: its leaderboard, artifacts and attempts."""

import csv
import io
import math
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from api.auth import Holder, visible_owner
from api.downloads import download
from api.kept_models import kept_models
from api.problems import not_found
from api.services import ServicesOf
from db.jobs import artifact_named, artifacts_of, attempts_of, find, leaderboard_of
from db.owners import KeyHolder
from db.rows import JobRow

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"])


class LeaderboardEntryView(BaseModel):
    """One model; its metrics stand beside these under the training library's names."""

    model_config = ConfigDict(extra="allow")

    rank: int
    model_id: str
    algo: str


class LeaderboardView(BaseModel):
    """Models, best first; no rows and no metric while there is none yet. ``complete``: it will not change any more.
    ``kept``: the artifacts of the models that the job kept, by their ids, once it has ended."""

    rows: list[LeaderboardEntryView]
    sort_metric: str | None
    complete: bool
    kept: dict[str, str] = {}


class ArtifactView(BaseModel):
    """A file that the job saved."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    attempt: int
    created_at: datetime


class ArtifactList(BaseModel):
    artifacts: list[ArtifactView]


class AttemptView(BaseModel):
    """One run of a job and how it ended."""

    attempt: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    reason: str | None
    cause: str | None
    metrics: dict[str, Any]


class AttemptList(BaseModel):
    attempts: list[AttemptView]


@router.get(
    "/leaderboard",
    summary="The models, best first",
    response_model=LeaderboardView,
    responses={200: {"content": {"text/csv": {}}}},
)
def get_leaderboard(holder: Holder, services: ServicesOf, request: Request, job_id: str) -> Response | LeaderboardView:
    """While a training runs: the models so far. `Accept: text/csv` gives a table."""
    with services.database.read() as session:
        job = _check_visible(session, holder, job_id)
        found = leaderboard_of(session, job_id)
    if found is None:
        view = LeaderboardView(rows=[], sort_metric=None, complete=False)
    else:
        board, entries = found
        rows = [
            LeaderboardEntryView.model_validate(
                {**_finite(entry.metrics), "rank": entry.rank, "model_id": entry.model_id, "algo": entry.algo}
            )
            for entry in entries
        ]
        kept = dict(kept_models(job))
        view = LeaderboardView(rows=rows, sort_metric=board.sort_metric, complete=board.complete, kept=kept)
    if "text/csv" in request.headers.get("accept", ""):
        return Response(_as_csv(view), media_type="text/csv; charset=utf-8")
    return view


@router.get("/artifacts", summary="The files that the job saved")
def get_artifacts(holder: Holder, services: ServicesOf, job_id: str) -> ArtifactList:
    with services.database.read() as session:
        _check_visible(session, holder, job_id)
        rows = artifacts_of(session, job_id)
    return ArtifactList(
        artifacts=[
            ArtifactView(
                name=row.name,
                media_type=row.media_type,
                size_bytes=row.size_bytes,
                sha256=row.sha256,
                attempt=row.attempt,
                created_at=row.created_at,
            )
            for row in rows
        ]
    )


@router.get(
    "/artifacts/{name}",
    summary="One file that the job saved",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, 206: {"description": "The range asked for."}},
)
def get_artifact(holder: Holder, services: ServicesOf, request: Request, job_id: str, name: str) -> Response:
    with services.database.read() as session:
        _check_visible(session, holder, job_id)
        row = artifact_named(session, job_id, name)
    if row is None:
        raise not_found("artifact", name)
    return download(
        request,
        services.store,
        key=row.key,
        name=row.name,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
    )


@router.get("/attempts", summary="Every run of the job")
def get_attempts(holder: Holder, services: ServicesOf, job_id: str) -> AttemptList:
    with services.database.read() as session:
        _check_visible(session, holder, job_id)
        rows = attempts_of(session, job_id)
    return AttemptList(
        attempts=[
            AttemptView(
                attempt=row.attempt,
                worker=row.worker_name,
                started_at=row.started_at,
                ended_at=row.ended_at,
                outcome=row.outcome,
                reason=row.reason,
                cause=row.cause,
                metrics=row.metrics,
            )
            for row in rows
        ]
    )


def _check_visible(session: Session, holder: KeyHolder, job_id: str) -> JobRow:
    job = find(session, job_id, visible_owner(holder))
    if job is None:
        raise not_found("job", job_id)
    return job


def _finite(metrics: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in metrics.items()
    }


def _as_csv(view: LeaderboardView) -> str:
    rows = [row.model_dump() for row in view.rows]
    columns = list(dict.fromkeys(["rank", "model_id", "algo", *(name for row in rows for name in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
