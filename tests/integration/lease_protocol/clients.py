"""What clients do: submit, cancel and stop."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy.orm import Session

from db.bulk import submit_all
from db.rows import JobRow
from db.states import StopRequest
from db.stops import AlreadyFinal, request_stop
from db.submit import NewJob, submit_once
from tests.integration.lease_protocol.ground import ANY, FATE, KINDS, QUEUE, Fate, Ground
from tests.integration.lease_protocol.model import Job
from tests.integration.lease_protocol.promises import read_everything

T = TypeVar("T")

_MOST_JOBS = 6


def rarely(value: T, else_: T) -> st.SearchStrategy[T]:
    return st.sampled_from((else_, else_, else_, else_, value))


SUBMISSION = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "max_attempts": st.integers(1, 3),
        "priority": st.sampled_from((4, 9)),
        "deadline": rarely(timedelta(seconds=25), None),
        "delay": rarely(timedelta(seconds=5), None),
        "after": st.sampled_from(((), (), (), (0,), (1, 2))),
    }
)


class Clients(Ground):
    @precondition(lambda self: len(self.model.by_id) < _MOST_JOBS)
    @rule(fate=FATE, submission=SUBMISSION)
    def submit(self, fate: Fate, submission: dict[str, Any]) -> None:
        """Who got no answer submits again under the same idempotency key, and some do although they got one."""
        new = self._new_job(**submission)
        self.submissions += 1

        def write(session: Session) -> tuple[str, bool]:
            job, is_new = submit_once(session, new, key=f"key-{self.submissions}", body_sha256="0" * 64)
            return job.id, is_new

        answer = self._transact(fate, write)
        job_id, is_new = self._transact(Fate.ANSWERED, write) or ("", False)
        assert is_new == (fate is Fate.DIED)
        assert answer in (None, (job_id, True))
        self._accepted(job_id, new)

    @precondition(lambda self: len(self.model.by_id) < _MOST_JOBS)
    @rule(fate=FATE, submissions=st.lists(SUBMISSION, min_size=1, max_size=3))
    def submit_many(self, fate: Fate, submissions: list[dict[str, Any]]) -> None:
        news = [self._new_job(**submission) for submission in submissions]
        accepted = self._transact(fate, lambda session: submit_all(session, self.owner_id, news))
        if fate is Fate.UNANSWERED:
            # Without a key nobody can ask; they are accepted all the same.
            known = self.model.by_id.keys()
            found = sorted(read_everything(self.database).jobs.keys() - known)
            for job_id, new in zip(found, news, strict=True):
                self._accepted(job_id, new)
        for job, new in zip(accepted or (), news if accepted else (), strict=True):
            self._accepted(job.job_id, new)

    @precondition(lambda self: self.model.by_id)
    @rule(fate=FATE, pick=ANY, request=st.sampled_from((StopRequest.CANCEL, StopRequest.STOP)), runs=st.booleans())
    def ask(self, fate: Fate, pick: int, request: StopRequest, runs: bool) -> None:
        running = self.model.in_state("running") if runs else []
        job = running[pick % len(running)] if running else self._job(pick)
        self._ask(job, request, fate)

    def _ask(self, job: Job, request: StopRequest, fate: Fate) -> None:
        def write(session: Session) -> object:
            return request_stop(session, session.get_one(JobRow, job.id), request)

        if job.is_final:
            self._refused(write, AlreadyFinal)
        elif self._happens(fate, write):
            job.asked(request)

    def _new_job(self, delay: timedelta | None, after: Sequence[int], **fields: Any) -> NewJob:
        run_at = None if delay is None else self.clock.now + delay
        earlier = {self._job(one).id for one in after} if self.model.by_id else set()
        return NewJob(self.owner_id, queue=QUEUE, spec={}, run_at=run_at, after=sorted(earlier), **fields)

    def _accepted(self, job_id: str, new: NewJob) -> None:
        deadline_at = None if new.deadline is None else self.clock.now + new.deadline
        job = Job(job_id, new.kind, new.max_attempts, 9 - new.priority, list(new.after), new.run_at, deadline_at)
        self.model.accepted(job)
