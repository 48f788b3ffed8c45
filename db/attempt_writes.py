"""What a running attempt may write. Every statement compares the fencing token and raises ``Fenced`` when the job
is no longer running this attempt, so a worker that comes back after its job was given away can change nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from db.claims import Fenced, Token
from db.clock import db_now
from db.events import NewEvent, Numbered, write_numbered
from db.ids import new_id
from db.rows import ArtifactRow, JobRow, LeaderboardEntryRow, LeaderboardRow
from db.states import EventType, State


@dataclass(frozen=True)
class Progress:
    """How far a job is; ``fraction`` 0..1, None where it can't be known."""

    fraction: float | None
    message: str
    eta_seconds: float | None


@dataclass(frozen=True)
class NewArtifact:
    """A file that lies finished in the store under ``key``."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    key: str


@dataclass(frozen=True)
class Board:
    """A leaderboard: entries are (model id, algorithm, metrics), best first."""

    run: int
    sort_metric: str
    complete: bool
    entries: Sequence[tuple[str, str, Mapping[str, Any]]]


def record(session: Session, token: Token, events: Sequence[NewEvent], progress: Progress | None = None) -> None:
    """Add events, and set the job's progress."""
    values: dict[str, Any] = {}
    if progress is not None:
        values = {
            "progress_fraction": progress.fraction,
            "progress_message": progress.message,
            "progress_eta_seconds": progress.eta_seconds,
        }
    last, now = _write(session, token, len(events), values)
    write_numbered(session, [Numbered(token.job_id, token.attempt, last, now, events)])


def save_checkpoint(session: Session, token: Token, document: Mapping[str, Any], *, cleanup_needed: bool) -> None:
    """Keep the document for later attempts; ``cleanup_needed`` says that something lies outside that must be freed."""
    _write(session, token, 0, {"checkpoint": dict(document), "cleanup_needed": cleanup_needed})


def replace_leaderboard(session: Session, token: Token, board: Board) -> None:
    """Put the board in the place of what the same run had before."""
    event = NewEvent(
        EventType.LEADERBOARD,
        {"run": board.run, "models": len(board.entries), "leader": board.entries[0][0] if board.entries else None},
    )
    record(session, token, [event])
    where = {"job_id": token.job_id, "run": board.run}
    session.execute(delete(LeaderboardEntryRow).filter_by(**where))
    session.execute(delete(LeaderboardRow).filter_by(**where))
    session.execute(
        insert(LeaderboardRow).values(
            **where, attempt=token.attempt, sort_metric=board.sort_metric, complete=board.complete, updated_at=db_now()
        )
    )
    if board.entries:
        session.execute(
            insert(LeaderboardEntryRow),
            [
                {**where, "rank": rank, "model_id": model_id, "algo": algo, "metrics": dict(metrics)}
                for rank, (model_id, algo, metrics) in enumerate(board.entries, start=1)
            ],
        )


def add_artifact(session: Session, token: Token, new: NewArtifact) -> str | None:
    """Register an artifact; returns the store key of the one of the same name and attempt that it replaces."""
    data = {"name": new.name, "media_type": new.media_type, "size_bytes": new.size_bytes}
    record(session, token, [NewEvent(EventType.ARTIFACT, data)])
    replaced = session.scalars(
        delete(ArtifactRow)
        .where(ArtifactRow.job_id == token.job_id, ArtifactRow.attempt == token.attempt, ArtifactRow.name == new.name)
        .returning(ArtifactRow.key)
    ).one_or_none()
    session.add(ArtifactRow(id=new_id(), job_id=token.job_id, attempt=token.attempt, **vars(new)))
    session.flush()
    return replaced


def _write(session: Session, token: Token, events: int, values: Mapping[str, Any]) -> tuple[int, datetime]:
    """The guarded statement itself; takes the job's row lock, and returns its last event number and the time."""
    written = session.execute(
        update(JobRow)
        .where(JobRow.id == token.job_id, JobRow.attempt == token.attempt, JobRow.state == State.RUNNING)
        .values(last_event_seq=JobRow.last_event_seq + events, **values)
        .returning(JobRow.last_event_seq, db_now())
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if written is None:
        raise Fenced(f"job {token.job_id} no longer runs attempt {token.attempt}")
    last, now = written
    return last, now
