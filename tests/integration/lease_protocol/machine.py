"""The lease protocol as a state machine: every step that clients, workers and janitors can take, in any order, with
transactions that die before their commit and commits whose answer is lost."""

import sys
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from db.claims import Fenced
from db.finish import MAX_LOSSES
from db.states import StopRequest
from tests.integration.lease_protocol.clients import SUBMISSION, Clients
from tests.integration.lease_protocol.endings import ENDING, ENDINGS, REPEATABLE
from tests.integration.lease_protocol.ground import ANY, KINDS, Fate
from tests.integration.lease_protocol.janitors import Janitors
from tests.integration.lease_protocol.promises import check_against, check_promises, read_everything
from tests.integration.lease_protocol.workers import Workers

_CANCEL, _STOP = StopRequest.CANCEL, StopRequest.STOP
REQUESTS = st.sampled_from(((), (), (), (_CANCEL,), (_STOP,), (_STOP, _CANCEL), (_CANCEL, _STOP)))


class LeaseProtocol(Clients, Workers, Janitors):
    """All steps together; after each of them every promise holds, and at the end every job ends."""

    @initialize(submissions=st.lists(SUBMISSION, min_size=2, max_size=3), picks=st.lists(ANY, min_size=1, max_size=3))
    def begin(self, submissions: list[dict[str, Any]], picks: list[int]) -> None:
        """Something runs already, so that few steps lead to where it gets interesting."""
        for kinds in (KINDS, KINDS[:1]):
            self.start_worker(kinds)
        self.submit_many(Fate.ANSWERED, submissions)
        self.claim_whatever(Fate.ANSWERED, picks[0], picks)

    @rule(how=ENDING, pick=ANY, requests=REQUESTS)
    def go_on(self, how: str, pick: int, requests: tuple[StopRequest, ...]) -> None:
        """All that waits comes to run, and ends in one way, asked to or not."""
        self.clock.pass_(60)
        if not self.at_work():
            self.start_worker(KINDS)
        self.settle(Fate.ANSWERED)
        self._claim(Fate.ANSWERED, pick, [job.id for job in self.model.all()])
        for token in self._worker(pick).held:
            job = self._holder_of(token)
            if job is not None:
                for request in requests:
                    self._ask(job, request, Fate.ANSWERED)
                self._end(token, how, Fate.ANSWERED)

    @rule(how=st.sampled_from(REPEATABLE), pick=ANY)
    def wear_out(self, how: str, pick: int) -> None:
        """As often as it takes."""
        for _ in range(MAX_LOSSES):
            self.go_on(how, pick, ())

    @precondition(lambda self: self.at_work() and self.model.in_state("running"))
    @rule(pick=ANY)
    def take_over(self, pick: int) -> None:
        """Every lease lapses, other attempts begin, and who held the leases comes back."""
        self.clock.pass_(11)
        self.sweep(Fate.ANSWERED)
        self._claim(Fate.ANSWERED, pick, [job.id for job in self.model.all()])
        if self._zombies():
            self.write_as_a_zombie(pick)

    @precondition(lambda self: len(self.at_work()) == 1)
    @rule(pick=ANY, submission=SUBMISSION)
    def take_turns(self, pick: int, submission: dict[str, Any]) -> None:
        """A window that was full gets room for one more, while others wait for it."""
        for _ in range(4):
            self.submit(Fate.ANSWERED, submission)
        self.renew_leases(Fate.ANSWERED, pick)
        self.promises_hold()
        self.refill(Fate.ANSWERED, "sent")
        if self.hints:
            self.claim_hinted(Fate.ANSWERED, pick, again=False)
            self.refill(Fate.ANSWERED, "sent")

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
