"""One attempt, from the order to the runner until its end is committed."""

import queue
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError

from db.attempt_writes import Board, Progress, save_checkpoint
from db.claims import Fenced, Token
from db.engine import Database
from db.events import NewEvent
from db.rows import JobRow
from db.states import EventType, Reason, State, StopRequest
from db.store import Store
from tasks.errors import InvalidInput
from tasks.inputs import inputs_of
from tasks.kind import Kind
from workers.artifacts import input_path, keep_artifact
from workers.channel import Message
from workers.endings import Report, Why, commit, ending, report_of
from workers.lease_keeper import LeaseKeeper
from workers.recorder import Recorder
from workers.runner_context import input_key
from workers.slots import Slot

log = structlog.get_logger()

_KILL_AFTER_TERM_SECONDS = 2.0
# A stop keeps the best so far, which may have to be explained and saved first.
_STOP_GRACE = timedelta(minutes=10)


@dataclass(frozen=True)
class Workshop:
    """What every attempt of a worker shares."""

    database: Database
    store: Store
    recorder: Recorder
    leases: LeaseKeeper
    scratch_root: Path
    grace: timedelta


class Execution:
    """Runs one claimed job in a slot. ``run`` is called once, by the thread that owns the slot meanwhile."""

    def __init__(self, workshop: Workshop, job: JobRow, kind: Kind, slot: Slot, lease_until: float) -> None:
        self._shop = workshop
        self._job = job
        self._kind = kind
        self._runner = slot.runner
        self._lease_until = lease_until
        self.token = Token(job.id, job.attempt)
        limit = kind.time_limit if job.time_limit_seconds is None else timedelta(seconds=job.time_limit_seconds)
        self._limits = {
            Why.TIMED_OUT: f"The attempt ran longer than its time limit of {limit.total_seconds():g} s.",
            Why.STALLED: f"The job showed no progress for {(kind.stall_limit or limit).total_seconds():g} s.",
        }
        now = time.monotonic()
        self._times_out_at = now + limit.total_seconds()
        self._last_progress = now
        self._why: Why | None = None
        self._escalation: list[tuple[float, str]] = []

    def run(self) -> State | None:
        """The job's state after the attempt; None if somebody else ended it."""
        self._shop.leases.hold(self.token, self)
        try:
            report = self._work()
            if report is None:
                return None
            write_reports = self._shop.recorder.withdraw(self.token)
            finish = ending(self.token, report, self._why, self._limits)

            def write(session: Any) -> State:
                write_reports(session)
                return finish(session)

            return commit(self._shop.database, write)
        except Fenced:
            self._runner.kill()
            return None
        finally:
            self._shop.leases.release(self.token)
            self._shop.recorder.withdraw(self.token)
            shutil.rmtree(self._scratch, ignore_errors=True)

    def shut_down(self) -> None:
        """Hand the job back unless it ends by itself within the grace period; called from any thread."""
        self._notice("shutdown")

    # What the lease keeper says arrives from its thread, so it only goes into the inbox.

    def is_alive(self) -> bool:
        return self._runner.is_alive()

    def lease_prolonged(self, until: float) -> None:
        self._tell("lease", until=until)

    def asked(self, request: StopRequest) -> None:
        self._notice("asked", request=request)

    def lease_lost(self) -> None:
        self._notice("lost")

    @property
    def _scratch(self) -> Path:
        return self._shop.scratch_root / f"{self.token.job_id}-{self.token.attempt}"

    def _work(self) -> Report | None:
        """Order, listen and watch the clocks until the attempt is over; None when it was taken away."""
        try:
            self._order()
        except InvalidInput as exc:
            return Report(code=Reason.INVALID_INPUT, message=str(exc), metrics=self._queue_metrics())
        while True:
            self._watch_clocks()
            message = self._next_message()
            if message is None:
                continue
            if message["type"] == "died":
                return Report(died=self._runner.how_it_ended(), metrics=self._queue_metrics())
            if (message["job_id"], message["attempt"]) != (self.token.job_id, self.token.attempt):
                continue
            if message["type"] == "lost":
                # Killed, not asked: whoever has the job now must not meet its shadow.
                self._runner.kill()
                return None
            if message["type"] == "finished":
                message["metrics"] |= self._queue_metrics()
                return report_of(message)
            self._hear(message)

    def _order(self) -> None:
        self._scratch.mkdir(parents=True, exist_ok=True)
        spec = self._kind.spec.model_validate(self._job.spec)
        with self._shop.database.read() as session:
            inputs = {
                input_key(source): str(input_path(session, self._shop.store, self._job, source))
                for _place, source in inputs_of(spec)
            }
        self._tell(
            "run",
            kind=self._kind.name,
            spec=self._job.spec,
            checkpoint=self._job.checkpoint,
            inputs=inputs,
            scratch=str(self._scratch),
            lease_until=self._lease_until,
        )

    def _next_message(self) -> Message | None:
        try:
            return self._runner.inbox.get(timeout=0.2)
        except queue.Empty:
            return None

    def _hear(self, message: Message) -> None:
        self._last_progress = time.monotonic()
        match message["type"]:
            case "progress":
                progress = Progress(message["fraction"], message["message"], message["eta_seconds"])
                self._shop.recorder.add(self.token, progress=progress)
            case "log":
                data = {"level": message["level"], "message": message["message"]}
                self._shop.recorder.add(self.token, NewEvent(EventType.LOG, data))
            case "leaderboard":
                self._shop.recorder.add(self.token, board=_board(message["board"]))
            case "checkpoint" | "artifact":
                self._tell("answer", call=message["call"], problem=self._keep(message))
            case "asked":
                self._begin_ending(Why.ASKED, "stop" if message["request"] is StopRequest.STOP else "cancel")
            case "shutdown":
                self._begin_ending(Why.SHUTDOWN, None)
            case other:
                raise ValueError(f"a runner said {other!r}")

    def _keep(self, message: Message) -> str | None:
        """Commit a checkpoint or an artifact; returns what went wrong, if the runner should hear of it."""
        while True:
            try:
                if message["type"] == "checkpoint":
                    with self._shop.database.write() as session:
                        needed = self._kind.clean_up is not None
                        save_checkpoint(session, self.token, message["document"], cleanup_needed=needed)
                else:
                    source = Path(message["path"])
                    names = {"name": message["name"], "media_type": message["media_type"]}
                    keep_artifact(self._shop.database, self._shop.store, self.token, source=source, **names)
                    source.unlink()
                return None
            except OperationalError:
                log.warning("not_kept_yet", what=message["type"], job_id=self.token.job_id)
                time.sleep(0.5)
            except (OSError, ValueError) as exc:
                log.warning("not_kept", what=message["type"], job_id=self.token.job_id, error=str(exc))
                return f"The {message['type']} could not be stored: {getattr(exc, 'strerror', None) or exc}."

    def _begin_ending(self, why: Why, mode: str | None) -> None:
        """Ask the runner to end and plan what follows if it doesn't. The first cause wins; a cancel beats a stop."""
        if mode is not None:
            self._tell("stop", mode=mode)
        if self._why is not None and not (self._why is Why.ASKED and mode == "cancel" and why is Why.ASKED):
            return
        self._why = why
        grace = (_STOP_GRACE if mode == "stop" else self._shop.grace).total_seconds()
        now = time.monotonic()
        plan = [(now + grace, "terminate"), (now + grace + _KILL_AFTER_TERM_SECONDS, "kill")]
        if not self._escalation or plan[0] < self._escalation[0]:
            self._escalation = plan

    def _watch_clocks(self) -> None:
        now = time.monotonic()
        if self._why is None and now > self._times_out_at:
            self._begin_ending(Why.TIMED_OUT, "cancel")
        stall = self._kind.stall_limit
        if self._why is None and stall is not None and now > self._last_progress + stall.total_seconds():
            self._begin_ending(Why.STALLED, "cancel")
        while self._escalation and now > self._escalation[0][0]:
            _, step = self._escalation.pop(0)
            log.info("runner_" + step, job_id=self.token.job_id)
            self._runner.terminate() if step == "terminate" else self._runner.kill()

    def _queue_metrics(self) -> dict[str, float]:
        if self._job.queued_at is None or self._job.started_at is None:
            return {}
        waited = self._job.started_at.astimezone(UTC) - self._job.queued_at.astimezone(UTC)
        return {"queue_seconds": round(waited.total_seconds(), 3)}

    def _tell(self, what: str, **fields: Any) -> None:
        token = {"job_id": self.token.job_id, "attempt": self.token.attempt}
        self._runner.send({"type": what, **token, **fields})

    def _notice(self, what: str, **fields: Any) -> None:
        token = {"job_id": self.token.job_id, "attempt": self.token.attempt}
        self._runner.inbox.put({"type": what, **token, **fields})


def _board(board: dict[str, Any]) -> Board:
    entries: Sequence[dict[str, Any]] = board["entries"]
    return Board(
        run=board["run"],
        sort_metric=board["sort_metric"],
        complete=board["complete"],
        entries=[(entry["model_id"], entry["algo"], entry["metrics"]) for entry in entries],
    )
