"""Why a job is not running, in words."""

from datetime import UTC

from sqlalchemy.orm import Session

from db.due import waits_for
from db.jobs import jobs_ahead
from db.rows import JobRow
from db.states import State
from db.workers import kinds_taken

COUNT_UP_TO = 1000
_NAME_UP_TO = 3


class Waits:
    """Answers for many jobs of one response; looks for workers once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._taken_kinds: dict[str, set[str]] | None = None

    def in_words(self, job: JobRow) -> str | None:
        """None for a job that waits for nothing."""
        match State(job.state):
            case State.WAITING:
                return self._waiting(job)
            case State.QUEUED:
                return self._queued(job)
            case _:
                return None

    def _waiting(self, job: JobRow) -> str:
        reasons = []
        earlier = waits_for(self._session, job.id)
        if earlier:
            more = f" and {len(earlier) - _NAME_UP_TO} more" if len(earlier) > _NAME_UP_TO else ""
            noun = "job" if len(earlier) == 1 else "jobs"
            reasons.append(f"waits for {noun} {', '.join(earlier[:_NAME_UP_TO])}{more}")
        if job.run_at is not None:
            moment = job.run_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            retry = f", then attempt {job.attempt + 1}" if job.attempt else ""
            reasons.append(f"waits until {moment}{retry}")
        return "; ".join(reasons) or "about to be queued"

    def _queued(self, job: JobRow) -> str:
        return self.queued(job.queue, job.kind, jobs_ahead(self._session, job, COUNT_UP_TO))

    def queued(self, queue: str, kind: str, ahead: int) -> str:
        """Why a queued job does not run; ``ahead`` of its queue come before it, counted up to ``COUNT_UP_TO``."""
        reasons = []
        kinds = self._kinds_taken().get(queue)
        if kinds is None:
            reasons.append(f"no live worker for queue `{queue}`")
        elif kind not in kinds:
            reasons.append(f"no live worker for queue `{queue}` takes kind `{kind}`")
        if ahead:
            number = f"{ahead} or more" if ahead == COUNT_UP_TO else str(ahead)
            reasons.append(f"{number} {'job' if ahead == 1 else 'jobs'} ahead")
        return "; ".join(reasons) or f"next in queue `{queue}`"

    def _kinds_taken(self) -> dict[str, set[str]]:
        """For each queue with live workers, the kinds that they can run."""
        if self._taken_kinds is None:
            self._taken_kinds = {}
            for queue, kinds in kinds_taken(self._session):
                self._taken_kinds.setdefault(queue, set()).update(kinds)
        return self._taken_kinds
