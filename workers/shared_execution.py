"""An attempt that has its runner together with others: nothing that befalls it may end the runner, unless it does not
end by itself when it is asked to."""

from dataclasses import dataclass

from db.claims import Token
from db.rows import JobRow
from tasks.kind import Kind
from workers.channel import Message
from workers.clocks import Clocks
from workers.endings import Report, Why
from workers.escalation import Endable
from workers.execution import Ended, Execution, Workshop
from workers.runner_process import RunnerProcess
from workers.slots import Slot


@dataclass
class SharedRunner:
    """A runner that several attempts have; ``ended_for`` is the one for whose sake it was ended, if it was."""

    process: RunnerProcess
    ended_for: Token | None = None


@dataclass(frozen=True)
class _EndedFor:
    """Ends the runner for one attempt's sake."""

    runner: SharedRunner
    token: Token

    def terminate(self) -> None:
        self._note()
        self.runner.process.terminate()

    def kill(self) -> None:
        self._note()
        self.runner.process.kill()

    def _note(self) -> None:
        if self.runner.ended_for is None:
            self.runner.ended_for = self.token


class SharedExecution(Execution):
    """Belongs to the thread that has the slot, as its neighbours do: that one orders it by ``begin``, and then passes
    on each message for it and has it look at its clocks."""

    def __init__(
        self, workshop: Workshop, job: JobRow, kind: Kind, slot: Slot, runner: SharedRunner, lease_until: float
    ) -> None:
        self._shared_runner = runner
        self._verdict: Ended | None = None
        self._call: int | None = None
        super().__init__(workshop, job, kind, slot, lease_until)

    def begin(self) -> Ended | None:
        """Order it; what is returned says that it is over already."""
        self._clocks = Clocks(self._job, self.kind)
        return Ended(None) if self._taken_away else self._guarded(self._order)

    def hear(self, message: Message) -> Ended | None:
        """Deal with a message for this attempt, or with the runner's death."""
        self._call = message.get("call")
        ended = self._guarded(lambda: self._take(message))
        return ended if ended is None or self._verdict is None else self._verdict

    def watch(self) -> None:
        """Do what is due by the clocks."""
        self._watch_clocks()

    def _endable(self) -> Endable:
        return _EndedFor(self._shared_runner, self.token)

    def _break_off(self, report: Report | None) -> Ended | None:
        """Ask it to end; what it says then counts for nothing."""
        if not self._ordered:
            return Ended(report)
        if self._call is not None:
            # Without an answer it would wait, and its runner, which others have too, would be ended for that.
            self._tell("answer", call=self._call, problem="The attempt is over.")
        if self._verdict is None:
            self._verdict = Ended(report)
            self._begin_ending(Why.BROKEN, "cancel")
        return None

    def _report_of_death(self) -> Report:
        ended_for = self._shared_runner.ended_for
        if ended_for is None or ended_for == self.token:
            return super()._report_of_death()
        return Report(
            start_over=f"The runner was ended because of job {ended_for.job_id}, which ran in it too and did not end "
            "when it was asked to. This job begins anew.",
            metrics=self._queue_metrics(),
        )
