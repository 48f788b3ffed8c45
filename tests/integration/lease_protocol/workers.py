"""What workers do: come and go, claim, renew, write and end, as long as it is theirs and when it no longer is."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy.orm import Session

from db.claims import LEASE, Claimant, Fenced, Token, claim
from db.leases import renew
from db.workers import register, seen, stopped
from tests.integration.lease_protocol.endings import ENDING, ENDINGS
from tests.integration.lease_protocol.ground import ANY, FATE, KINDS, QUEUE, Fate, Ground
from tests.integration.lease_protocol.model import Worker
from tests.integration.lease_protocol.promises import read_everything
from tests.integration.lease_protocol.writes import WRITES

_SOME = st.lists(ANY, min_size=1, max_size=4)


class Workers(Ground):
    @precondition(lambda self: len(self.at_work()) < 3)
    @rule(kinds=st.sampled_from((KINDS, KINDS[:1])))
    def start_worker(self, kinds: list[str]) -> None:
        def write(session: Session) -> str:
            return register(session, name="w", hostname="here", pid=1, queue=QUEUE, slots=1, kinds=kinds)

        worker_id = self._transact(Fate.ANSWERED, write)
        assert worker_id is not None
        self.workers.append(Worker(worker_id, kinds, self.clock.now))

    @precondition(lambda self: self.at_work())
    @rule(pick=ANY, in_order=st.booleans())
    def stop_worker(self, pick: int, in_order: bool) -> None:
        """In order, it hands back what it runs. Killed, it leaves that behind and counts as live for a while."""
        worker = self._worker(pick)
        worker.is_dead = True
        held, worker.held = worker.held, []
        if in_order:
            for token in held:
                self._end(token, "a hand-back", Fate.ANSWERED)
            self._transact(Fate.ANSWERED, lambda session: stopped(session, worker.id))
            self.workers.remove(worker)

    @precondition(lambda self: self.at_work() and self.model.by_id)
    @rule(fate=FATE, pick=ANY, picks=_SOME)
    def claim_whatever(self, fate: Fate, pick: int, picks: list[int]) -> None:
        """On hints that are late, doubled or wrong."""
        self._claim(fate, pick, [self._job(one).id for one in picks])

    @precondition(lambda self: self.at_work() and self.hints)
    @rule(fate=FATE, pick=ANY, again=st.booleans())
    def claim_hinted(self, fate: Fate, pick: int, again: bool) -> None:
        """``again``: the broker delivers the hint once more."""
        self._claim(fate, pick, [self.hints[0]])
        if not again:
            self.hints.pop(0)

    @precondition(lambda self: self.at_work())
    @rule(fate=FATE, pick=ANY)
    def renew_leases(self, fate: Fate, pick: int) -> None:
        worker = self._worker(pick)

        def write(session: Session) -> dict[Token, str | None]:
            seen(session, worker.id)
            return dict(renew(session, worker.id, worker.held))

        mine = {token: self._holder_of(token) for token in worker.held}
        kept = {token: job.stop_request for token, job in mine.items() if job is not None}
        answer = self._transact(fate, write)
        if fate is Fate.ANSWERED:
            assert answer == kept
            worker.held = list(kept)
        if fate is not Fate.DIED:
            worker.last_seen_at = self.clock.now
            for token in kept:
                self.model.by_id[token.job_id].lease_expires_at = self.clock.now + LEASE

    @precondition(lambda self: any(worker.held for worker in self.workers))
    @rule(pick=ANY, fate=FATE, how=st.sampled_from(list(WRITES)))
    def report(self, pick: int, fate: Fate, how: str) -> None:
        write, foresee = WRITES[how]
        token = self._held(pick)
        job = self._holder_of(token)
        if job is None:
            self._refused(lambda session: write(session, token), Fenced)
        elif self._happens(fate, lambda session: write(session, token)):
            foresee(job)

    @precondition(lambda self: any(worker.held for worker in self.workers))
    @rule(pick=ANY, fate=FATE, how=ENDING)
    def end(self, pick: int, fate: Fate, how: str) -> None:
        self._end(self._held(pick), how, fate)

    @precondition(lambda self: self._zombies())
    @rule(pick=ANY)
    def write_as_a_zombie(self, pick: int) -> None:
        """Every write there is, best of all while another attempt runs."""
        zombies = self._zombies()
        displaced = [token for token in zombies if self.model.by_id[token.job_id].state == "running"]
        token = (displaced or zombies)[pick % len(displaced or zombies)]
        before = read_everything(self.database)
        for write in (*(write for write, _ in WRITES.values()), *(ending.write for ending in ENDINGS.values())):
            with pytest.raises(Fenced), self.database.write() as session:
                write(session, token)
        assert read_everything(self.database) == before

    def _claim(self, fate: Fate, pick: int, job_ids: list[str]) -> None:
        worker = self._worker(pick)
        free = [job for job in self.model.claimable(self.clock.now) if job.id in job_ids]
        claimant = Claimant(worker.id, "w")

        def write(session: Session) -> list[Token]:
            return [Token(job.id, job.attempt) for job in claim(session, job_ids, claimant)]

        answer = self._transact(fate, write)
        if fate is Fate.DIED:
            return
        for job in free:
            job.claimed(worker.id, self.clock.now)
        won = [Token(job.id, job.attempt) for job in free]
        assert answer is None or set(answer) == set(won)
        self.tokens += won
        worker.held += answer or []

    def _end(self, token: Token, how: str, fate: Fate) -> None:
        """A worker that got no answer tries again."""
        ending, job = ENDINGS[how], self._holder_of(token)

        def write(session: Session) -> object:
            return ending.write(session, token)

        if job is None or (ending.only_if_asked and job.stop_request is None):
            self._refused(write, Fenced)
            return
        if self._happens(fate, write):
            ending.foresee(job, self.clock.now)
        if fate is Fate.UNANSWERED:
            self._refused(write, Fenced)

    def at_work(self) -> list[Worker]:
        return [worker for worker in self.workers if not worker.is_dead]

    def _worker(self, pick: int) -> Worker:
        return self.at_work()[pick % len(self.at_work())]

    def _held(self, pick: int) -> Token:
        """One that the worker still has, if there is any; zombies have a step of their own."""
        held = [token for worker in self.workers for token in worker.held]
        current = [token for token in held if self._holder_of(token) is not None]
        return (current or held)[pick % len(current or held)]

    def _zombies(self) -> list[Token]:
        return [token for token in self.tokens if self._holder_of(token) is None]
