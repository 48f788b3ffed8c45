"""The lease protocol as a state machine: every step that clients, workers and janitors can take, in any order, with
transactions that die before their commit and commits whose answer is lost."""

import sys
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from db.claims import Fenced
from tests.integration.lease_protocol.clients import SUBMISSION, Clients
from tests.integration.lease_protocol.endings import ENDINGS
from tests.integration.lease_protocol.ground import ANY, KINDS, Fate
from tests.integration.lease_protocol.janitors import Janitors
from tests.integration.lease_protocol.promises import check_against, check_promises, read_everything
from tests.integration.lease_protocol.workers import Workers


class LeaseProtocol(Clients, Workers, Janitors):
    """All steps together; after each of them every promise holds, and at the end every job ends."""

    @initialize(submissions=st.lists(SUBMISSION, min_size=2, max_size=3), picks=st.lists(ANY, min_size=1, max_size=3))
    def begin(self, submissions: list[dict[str, Any]], picks: list[int]) -> None:
        """Something runs already, so that few steps lead to where it gets interesting."""
        for kinds in (KINDS, KINDS[:1]):
            self.start_worker(kinds)
        self.submit_many(Fate.ANSWERED, submissions)
        self.claim_whatever(Fate.ANSWERED, picks[0], picks)

    @rule(how=st.sampled_from(list(ENDINGS)), pick=ANY)
    def go_on(self, how: str, pick: int) -> None:
        """All that waits comes to run, and ends in one way: what takes many attempts is soon there."""
        self.clock.pass_(60)
        if not self.at_work():
            self.start_worker(KINDS)
        self.settle(Fate.ANSWERED)
        self._claim(Fate.ANSWERED, pick, [job.id for job in self.model.all()])
        for token in self._worker(pick).held:
            self._end(token, how, Fate.ANSWERED)

    @invariant()
    def promises_hold(self) -> None:
        self.everything = read_everything(self.database)
        check_promises(self.everything)
        check_against(self.model, self.everything)
        for job_id, job in self.model.by_id.items():
            if job.is_final:
                now = self.everything.of(job_id)
                assert self.finals.setdefault(job_id, now) == now, "what is final stays as it is"

    def teardown(self) -> None:
        try:
            # Where a step failed it is that failure that counts.
            if sys.exc_info()[0] is None:
                self._drive_to_the_end()
        finally:
            self.clock.let_go()

    def _drive_to_the_end(self) -> None:
        for worker in self.at_work():
            worker.is_dead = True
        for _ in range(40):
            if all(job.is_final for job in self.model.all()):
                break
            self.clock.pass_(400)
            for chore in (self.settle, self.sweep, self.look_at_deadlines, self.forget_lost_hints):
                chore(Fate.ANSWERED)
                self.promises_hold()
            if not self.at_work():
                self.start_worker(KINDS)
            self.renew_leases(Fate.ANSWERED, 0)
            self.refill(Fate.ANSWERED, "sent")
            self._claim(Fate.ANSWERED, 0, self.hints)
            for token in [token for worker in self.workers for token in worker.held]:
                self._end(token, "success", Fate.ANSWERED)
            self.promises_hold()
        assert all(job.is_final for job in self.model.all()), "every job ends"
        for token in self.tokens:
            self._refused(lambda session, token=token: ENDINGS["success"].write(session, token), Fenced)
