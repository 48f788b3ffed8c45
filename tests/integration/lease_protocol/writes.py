"""What a running attempt writes on its way, and what should become of the job."""

from collections.abc import Callable, Mapping

from sqlalchemy.orm import Session

from db import attempt_writes
from db.attempt_writes import Board, NewArtifact, Progress
from db.claims import Token
from db.events import NewEvent
from db.states import EventType
from tests.integration.lease_protocol.model import Job

Write = Callable[[Session, Token], object]
Foresee = Callable[[Job], None]


def _told(event: str) -> Foresee:
    return lambda job: job.events.append((event, job.attempt, None))


def _keep(job: Job) -> None:
    job.checkpoint = {"run": job.attempt}


def _log(session: Session, token: Token) -> None:
    attempt_writes.record(session, token, [NewEvent(EventType.LOG, {"message": "hi"})], Progress(0.5, "half", 1.0))


def _checkpoint(session: Session, token: Token) -> None:
    attempt_writes.save_checkpoint(session, token, {"run": token.attempt}, cleanup_needed=False)


def _board(session: Session, token: Token) -> None:
    attempt_writes.replace_leaderboard(session, token, Board(1, "auc", False, [(f"m{token.attempt}", "GBM", {})]))


def _artifact(session: Session, token: Token) -> None:
    attempt_writes.add_artifact(session, token, NewArtifact("a.png", "image/png", 1, "0" * 64, f"jobs/{token}"))


WRITES: Mapping[str, tuple[Write, Foresee]] = {
    "log": (_log, _told("log")),
    "checkpoint": (_checkpoint, _keep),
    "leaderboard": (_board, _told("leaderboard")),
    "artifact": (_artifact, _told("artifact")),
}
