"""What every worker's janitor does, in any order and at any time."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import rule

from db import hints
from db.claims import Token
from db.due import settle_waiting
from db.leases import expire_lapsed
from db.stops import enforce_deadlines
from db.workers import LIVE_WITHIN
from tests.integration.lease_protocol.ground import ANY, FATE, KINDS, QUEUE, Fate, Ground
from tests.integration.lease_protocol.model import Job

_STALE = timedelta(seconds=2)


class Janitors(Ground):
    @rule(fate=FATE, sent=st.sampled_from(("sent", "sent", "lost", "refused")))
    def refill(self, fate: Fate, sent: str) -> None:
        best = self._best()
        found = self._transact(fate, lambda session: hints.next_hints(session, QUEUE))
        assert found is None or [(hint.job_id, hint.kind) for hint in found] == [(job.id, job.kind) for job in best]
        if fate is Fate.DIED:
            return
        for job in best:
            job.hinted_at = self.clock.now
        if fate is Fate.ANSWERED and sent == "sent":
            self.hints += [job.id for job in best]
        elif fate is Fate.ANSWERED and sent == "refused":
            self._transact(fate, lambda session: hints.unmark(session, [job.id for job in best]))
            for job in best:
                job.hinted_at = None

    def forget_lost_hints(self, fate: Fate) -> None:
        stale = [j for j in self.model.all() if j.hinted_at is not None and j.hinted_at < self.clock.now - _STALE]
        counted = self._transact(fate, lambda session: hints.clear_stale_marks(session, QUEUE, older_than=_STALE))
        assert counted in (None, len(stale))
        if fate is not Fate.DIED:
            for job in stale:
                job.hinted_at = None

    @rule(fate=FATE, pick=ANY)
    def do_a_chore(self, fate: Fate, pick: int) -> None:
        chores = (self.settle, self.look_at_deadlines, self.forget_lost_hints)
        chores[pick % len(chores)](fate)

    @rule(seconds=st.sampled_from((1, 3, 6, 11, 30, 400)))
    def time_passes(self, seconds: int) -> None:
        self.clock.pass_(seconds)

    @rule(fate=FATE)
    def sweep(self, fate: Fate) -> None:
        lapsed = self.model.lapsed(self.clock.now)
        ended = self._transact(fate, expire_lapsed)
        assert ended is None or set(ended) == {Token(job.id, job.attempt) for job in lapsed}
        if fate is not Fate.DIED:
            for job in lapsed:
                job.lost("worker_lost", self.clock.now)

    def settle(self, fate: Fate) -> None:
        if self._happens(fate, settle_waiting):
            self.model.settle(self.clock.now)

    def look_at_deadlines(self, fate: Fate) -> None:
        if self._happens(fate, enforce_deadlines):
            for job in self.model.overdue(self.clock.now):
                job.asked("deadline")

    def _best(self) -> list[Job]:
        """What has to be hinted next: as many as fit into the window."""
        live = [one for one in self.workers if one.last_seen_at > self.clock.now - LIVE_WITHIN]
        kinds = {kind for worker in live for kind in worker.kinds} if live else set(KINDS)
        queued = [job for job in self.model.in_state("queued") if job.kind in kinds]
        room = (2 * sum(worker.slots for worker in live) or 4) - sum(job.hinted_at is not None for job in queued)
        tags = {job.id: self.everything.jobs[job.id]["fair_tag"] for job in queued}
        queued.sort(key=lambda job: (job.precedence, tags[job.id], job.id))
        return [job for job in queued if job.hinted_at is None][: max(room, 0)]
