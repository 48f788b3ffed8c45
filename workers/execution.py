"""One attempt, from the order to the runner until its end is committed."""

import queue
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from db.attempt_writes import Board, Progress, save_checkpoint
from db.bulk_finish import Success, succeed_all
from db.claims import Fenced, Token
from db.engine import Database
from db.events import NewEvent
from db.jobs import artifact_named
from db.rows import JobRow
from db.states import EventType, Reason, State, StopRequest
from db.store import Store
from tasks.contracts import JobSpec
from tasks.errors import InvalidInput
from tasks.inputs import inputs_of
from tasks.kind import Kind
from workers.artifacts import input_path, keep_artifact
from workers.channel import Message
from workers.clocks import Clocks
from workers.endings import Report, Why, commit, ending, report_of
from workers.escalation import Endable, Escalation
from workers.lease_keeper import LeaseKeeper
from workers.recorder import Recorder, Reports
from workers.runner_context import input_key
from workers.slots import Slot

log = structlog.get_logger()

_RETRY_SECONDS = 0.5

_Read = TypeVar("_Read")


# Longer than what is claimed together is meant to take altogether.
LONG_SECONDS = 0.1


@dataclass(frozen=True)
class Workshop:
    """What every attempt of a worker shares."""

    database: Database
    store: Store
    recorder: Recorder
    leases: LeaseKeeper
    grace: timedelta


@dataclass(frozen=True)
class Ended:
    """That an attempt is over; ``report`` says how it went, unless it was taken away."""

    report: Report | None


class Execution:
    """One claimed job in a slot. From its making on its lease is kept; then comes ``work``, unless it is not begun,
    then its ending, by ``end`` or by the caller together with others, and ``let_go`` in any case."""

    def __init__(self, workshop: Workshop, job: JobRow, kind: Kind, slot: Slot, lease_until: float) -> None:
        self._shop = workshop
        self._job = job
        self.kind = kind
        self._runner = slot.runner
        self._scratch = slot.setting.scratch / f"{job.id}-{job.attempt}"
        self._lease_until = lease_until
        self.token = Token(job.id, job.attempt)
        self._clocks: Clocks
        self._escalation = Escalation(self._endable(), workshop.grace, job.id)
        self._taken_away = False
        self._ordered = False
        workshop.leases.hold(self.token, self)

    def work(self, when_long: Callable[[], None]) -> Report | None:
        """Run the job; how it went, or None if the attempt was taken away. ``when_long`` is called again and again
        while the job takes long."""
        self._clocks = Clocks(self._job, self.kind)
        if self._taken_away:
            return None
        ended = self._guarded(lambda: self._work(when_long))
        if ended is None:
            raise RuntimeError("an attempt that is neither over nor goes on")
        return ended.report

    def success(self, report: Report) -> Success | None:
        """The attempt's end as what can be committed together with others; None if it has to be committed alone."""
        if not report.succeeded:
            return None
        reports = self._shop.recorder.withdraw(self.token) or Reports()
        if reports.board is not None:
            self._shop.recorder.put_back(self.token, reports)
            return None
        return Success(self.token, report.result, report.metrics, reports.events, reports.progress)

    def end(self, report: Report) -> State | None:
        """Commit the ending; the job's state after it, or None if somebody else ended the attempt."""
        reports = self._shop.recorder.withdraw(self.token)
        finish = ending(self.token, report, self._escalation.why, self._clocks.wording)

        def write(session: Session) -> State:
            if reports is not None:
                reports.write(session, self.token)
            return finish(session)

        try:
            return commit(self._shop.database, write)
        except Fenced:
            return None
        except (SQLAlchemyError, ValueError) as exc:
            return self._end_refused(exc)

    def end_alone(self, success: Success) -> State | None:
        """Commit a success by itself, as ``end`` does."""

        def write(session: Session) -> State:
            return succeed_all(session, [success])[self.token]

        try:
            return commit(self._shop.database, write)
        except KeyError:
            return None
        except (SQLAlchemyError, ValueError) as exc:
            return self._end_refused(exc)

    def let_go(self) -> None:
        """Keep the lease no longer; nothing of the attempt is left in this process or its slot."""
        self._shop.leases.release(self.token)
        self._shop.recorder.withdraw(self.token)
        if self._scratch.is_dir():
            shutil.rmtree(self._scratch, ignore_errors=True)

    def shut_down(self) -> None:
        """Hand the job back unless it ends by itself within the grace period; called from any thread."""
        self._notice("shutdown")

    # What the lease keeper says arrives from its thread, so it only goes into the inbox.

    def is_alive(self) -> bool:
        return self._runner.is_alive()

    def lease_prolonged(self, until: float) -> None:
        self._lease_until = until
        if self._ordered:
            # The next one replaces it, and this thread must not wait for a runner that does not read.
            self._runner.offer(self._addressed("lease", until=until))

    def asked(self, request: StopRequest) -> None:
        self._notice("asked", request=request)

    def lease_lost(self) -> None:
        self._taken_away = True
        self._notice("lost")

    def reports_refused(self) -> None:
        self._notice("refused")

    def _endable(self) -> Endable:
        """What is ended if the job does not end by itself."""
        return self._runner

    def _break_off(self, report: Report | None) -> Ended | None:
        """End what was begun: killed, not asked, for whoever has the job now must not meet its shadow."""
        if self._ordered:
            self._runner.kill()
        return Ended(report)

    def _guarded(self, step: Callable[[], Ended | None]) -> Ended | None:
        """Whatever breaks on this side: the attempt has to end, or its runner goes on in a slot that looks idle."""
        try:
            return step()
        except Fenced:
            return self._break_off(None)
        except InvalidInput as exc:
            return self._break_off(self._failed(Reason.INVALID_INPUT, str(exc), again=False))
        except ValidationError as exc:
            message = f"The spec does not fit this version of its kind ({exc.error_count()} errors); submit it anew."
            return self._break_off(self._failed(Reason.INVALID_INPUT, message, again=False))
        except OSError as exc:
            message = f"The worker's disk failed: {exc.strerror}."
            return self._break_off(self._failed(Reason.STORAGE_ERROR, message, again=True))
        except Exception as exc:
            log.exception("attempt_broke", job_id=self.token.job_id, attempt=self.token.attempt)
            message = f"The worker failed with {type(exc).__name__}; its log has the details."
            return self._break_off(self._failed(Reason.INTERNAL_ERROR, message, again=True))

    def _end_refused(self, error: Exception) -> State | None:
        log.error("ending_refused", job_id=self.token.job_id, error=type(error).__name__)
        refused = self._failed(Reason.INTERNAL_ERROR, "The database refuses what the job reported.", again=False)
        try:
            return commit(self._shop.database, ending(self.token, refused, self._escalation.why, self._clocks.wording))
        except Fenced:
            return None

    def _failed(self, reason: Reason, message: str, *, again: bool) -> Report:
        return Report(code=reason, message=message, retryable=again, metrics=self._queue_metrics())

    def _work(self, when_long: Callable[[], None]) -> Ended:
        """Order, listen and watch the clocks until the attempt is over."""
        long_from = time.monotonic() + LONG_SECONDS
        self._order()
        while True:
            self._watch_clocks()
            if time.monotonic() > long_from:
                when_long()
            message = self._next_message()
            if message is None:
                continue
            ended = self._take(message)
            if ended is not None:
                return ended

    def _take(self, message: Message) -> Ended | None:
        """Deal with what lies in the runner's inbox; what concerns other attempts is passed over."""
        if message["type"] == "died":
            return Ended(self._report_of_death())
        if addressee(message) != self.token:
            return None
        match message["type"]:
            case "lost":
                return self._break_off(None)
            case "refused":
                why = "The database refuses what the job reports."
                return self._break_off(self._failed(Reason.INTERNAL_ERROR, why, again=False))
            case "finished":
                message["metrics"] |= self._queue_metrics()
                return Ended(report_of(message))
            case _:
                self._hear(message)
                return None

    def _report_of_death(self) -> Report:
        death = self._runner.death()
        return Report(died=death.cause, code=death.reason, metrics={**self._queue_metrics(), **death.metrics})

    def _order(self) -> None:
        spec = self.kind.spec.model_validate(self._job.spec)
        self._runner.send(
            self._addressed(
                "run",
                kind=self.kind.name,
                spec=self._job.spec,
                checkpoint=self._job.checkpoint,
                inputs=self._inputs(spec),
                scratch=str(self._scratch),
                lease_until=self._lease_until,
            )
        )
        self._ordered = True

    def _inputs(self, spec: JobSpec) -> dict[str, str]:
        """Where the data of each input lies."""
        sources = [source for _place, source in inputs_of(spec)]
        if not sources:
            return {}
        return self._from_database(
            lambda session: {
                input_key(source): str(input_path(session, self._shop.store, self._job, source)) for source in sources
            }
        )

    def _kept_path(self, session: Session, name: str) -> str | None:
        artifact = artifact_named(session, self.token.job_id, name)
        return None if artifact is None else str(self._shop.store.path(artifact.key))

    def _from_database(self, read: Callable[[Session], _Read]) -> _Read:
        """What it reads, once the database is there."""
        while True:
            try:
                with self._shop.database.read() as session:
                    return read(session)
            except OperationalError:
                log.warning("not_read_yet", job_id=self.token.job_id)
                time.sleep(_RETRY_SECONDS)

    def _next_message(self) -> Message | None:
        try:
            return self._runner.inbox.get(timeout=LONG_SECONDS)
        except queue.Empty:
            return None

    def _hear(self, message: Message) -> None:
        self._clocks.note_progress()
        match message["type"]:
            case "progress":
                progress = Progress(message["fraction"], message["message"], message["eta_seconds"])
                self._shop.recorder.add(self.token, progress=progress)
            case "log":
                data = {"level": message["level"], "message": message["message"]}
                self._shop.recorder.add(self.token, NewEvent(EventType.LOG, data))
            case "output":
                data = {"index": message["index"], "text": message["text"]}
                self._shop.recorder.add(self.token, NewEvent(EventType.OUTPUT, data))
            case "leaderboard":
                self._shop.recorder.add(self.token, board=_board(message["board"]))
            case "checkpoint" | "artifact":
                self._tell("answer", call=message["call"], problem=self._keep(message))
            case "kept_artifact":
                path = self._from_database(lambda session: self._kept_path(session, message["name"]))
                self._tell("answer", call=message["call"], problem=None, path=path)
            case "asked":
                self._begin_ending(Why.ASKED, "stop" if message["request"] is StopRequest.STOP else "cancel")
            case "shutdown":
                self._tell("hand_back")
                self._begin_ending(Why.SHUTDOWN, None)
            case other:
                raise ValueError(f"a runner said {other!r}")

    def _keep(self, message: Message) -> str | None:
        """Commit a checkpoint or an artifact; returns what went wrong, if the runner should hear of it."""
        while True:
            try:
                if message["type"] == "checkpoint":
                    with self._shop.database.write() as session:
                        needed = self.kind.clean_up is not None
                        save_checkpoint(session, self.token, message["document"], cleanup_needed=needed)
                else:
                    source = Path(message["path"])
                    names = {"name": message["name"], "media_type": message["media_type"]}
                    keep_artifact(self._shop.database, self._shop.store, self.token, source=source, **names)
                    source.unlink()
                return None
            except OperationalError:
                log.warning("not_kept_yet", what=message["type"], job_id=self.token.job_id)
                time.sleep(_RETRY_SECONDS)
            except (OSError, ValueError) as exc:
                log.warning("not_kept", what=message["type"], job_id=self.token.job_id, error=str(exc))
                return f"The {message['type']} could not be stored: {getattr(exc, 'strerror', None) or exc}."

    def _begin_ending(self, why: Why, mode: str | None) -> None:
        if mode is not None:
            self._tell("stop", mode=mode)
        self._escalation.begin(why, mode)

    def _watch_clocks(self) -> None:
        passed = self._clocks.passed()
        if passed is not None and self._escalation.why is None:
            self._begin_ending(passed, "cancel")
        self._escalation.go_on()

    def _queue_metrics(self) -> dict[str, float]:
        if self._job.queued_at is None or self._job.started_at is None:
            return {}
        waited = self._job.started_at.astimezone(UTC) - self._job.queued_at.astimezone(UTC)
        return {"queue_seconds": round(waited.total_seconds(), 3)}

    def _tell(self, what: str, **fields: Any) -> None:
        self._runner.send(self._addressed(what, **fields))

    def _notice(self, what: str, **fields: Any) -> None:
        self._runner.inbox.put(self._addressed(what, **fields))

    def _addressed(self, what: str, **fields: Any) -> Message:
        return {"type": what, "job_id": self.token.job_id, "attempt": self.token.attempt, **fields}


def addressee(message: Message) -> Token:
    """Whose message it is. No attempt has the number 0."""
    return Token(message["job_id"], message.get("attempt", 0))


def _board(board: dict[str, Any]) -> Board:
    entries: Sequence[dict[str, Any]] = board["entries"]
    return Board(
        run=board["run"],
        sort_metric=board["sort_metric"],
        complete=board["complete"],
        entries=[(entry["model_id"], entry["algo"], entry["metrics"]) for entry in entries],
    )
