"""Starts a training without waiting for it, or attaches to one, and watches it to its end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tasks.contracts import JobContext, Leaderboard, LogLevel
from tasks.errors import ClusterLost, InvalidInput, JobCancelled, JobStoppedEmpty
from tasks.tabular import TableTraining
from workers.runtimes.h2o_automl.client import H2OClient, Json
from workers.runtimes.h2o_automl.failures import H2OError, out_of_memory, plain_message
from workers.runtimes.h2o_automl.frames import TERMINAL, destination, end_job, listed_jobs, read_job
from workers.runtimes.h2o_automl.run_state import RunState
from workers.runtimes.h2o_automl.saved_models import LeaderSaver
from workers.runtimes.h2o_automl.trainable import trainable
from workers.runtimes.h2o_automl.training_progress import measure
from workers.runtimes.h2o_automl.training_view import TrainingView

POLL_SECONDS = 0.5
PROGRESS_SECONDS = 1.0
CHECKPOINT_SECONDS = 15.0
# H2O may finish a model and build the ensembles after its time; what takes longer than this is stuck.
OVERTIME_SHARE = 0.5
OVERTIME_SECONDS = 600.0
_LEVELS: dict[str, LogLevel] = {"DEBUG": "debug", "INFO": "info", "WARN": "warning", "ERROR": "error"}


class RunLost(ClusterLost):
    """This run can't go on although its cluster answers, so the next attempt must not attach to it."""


@dataclass(frozen=True)
class Trained:
    """How a training ended; ``view`` has at least one model, unless ``state`` has one saved from an earlier run."""

    view: TrainingView
    state: RunState
    stopped_early: bool
    warnings: tuple[str, ...]


def start(client: H2OClient, job: JobContext, state: RunState, request: Json) -> RunState:
    """Start what the run trains. The run is checkpointed before, so that no attempt can start it twice."""
    state = replace(state, phase="starting")
    job.checkpoint(state.document())
    state = replace(state, phase="training", job_key=trainable(client, state).start(request))
    job.checkpoint(state.document())
    return state


def attach(client: H2OClient, job: JobContext, state: RunState) -> RunState:
    """Find the H2O job of a training that runs, or ran, in the cluster."""
    if not state.job_key:
        with abandoning(job, lambda: state):
            state = replace(state, phase="training", job_key=find_job(client, state))
        job.checkpoint(state.document())
    job.log(f"Attached again to run {state.run} of the {state.training.what}, which went on in the cluster.")
    return state


@contextmanager
def abandoning(job: JobContext, current: Callable[[], RunState]) -> Iterator[None]:
    """Checkpoint that the run is given up when it turns out inside the block that it can't go on, and how long it was
    when its cluster is lost: the next run gets what it left of the job's time."""
    try:
        yield
    except RunLost:
        job.checkpoint(replace(current(), phase="abandoned").document())
        raise
    except ClusterLost:
        job.checkpoint(current().document())
        raise


def find_job(client: H2OClient, state: RunState) -> str:
    """The key of the H2O job that does the run's training."""
    # The models of a grid, and of a cross-validation, have longer names than the whole.
    found = sorted(listed_jobs(client, trainable(client, state).destination), key=lambda each: len(destination(each)))
    if found:
        return str(found[0]["key"]["name"])
    raise RunLost(f"The cluster has the {state.training.what} but no longer its job; it will be trained anew.")


def cancel(client: H2OClient, job_key: str) -> None:
    """Cancel an H2O job and wait until it has ended, as far as it does within a minute."""
    end_job(client, job_key)
    if read_job(client, job_key)["status"] not in TERMINAL:
        raise RunLost("The cluster doesn't end a training that was cancelled; it will be trained anew.")


class Watch:
    """Watches one run: passes on what is new, heeds stop and cancel, and notices a cluster that stopped working."""

    def __init__(self, client: H2OClient, job: JobContext, spec: TableTraining, state: RunState, share: float) -> None:
        """``share`` is the training's part of the job's whole progress, 0 to 1."""
        self._client = client
        self._job = job
        self._spec = spec
        self._state = state
        self._what = state.training.what
        self._trainable = trainable(client, state)
        self._share = share
        self._budget = state.remaining_seconds(spec.effective_max_runtime_secs)
        self._board: Leaderboard | None = None
        self._models = 0
        self._last_message = ""
        self._progress_due = 0.0
        self._checkpoint_due = time.monotonic() + CHECKPOINT_SECONDS
        self._warnings: list[str] = []
        self._cancel_sent = False
        self._saver = LeaderSaver(client, job)

    def until_end(self) -> Trained:
        """Wait for the training's end. Raises what its failure means."""
        with abandoning(self._job, lambda: self._state):
            return self._until_end()

    def _until_end(self) -> Trained:
        while True:
            h2o_job = self._look_at_job()
            view = self._pass_on(h2o_job)
            if h2o_job["status"] in TERMINAL:
                return self._conclude(h2o_job, view)
            self._heed_requests()
            self._client.require_health()
            self._require_timeliness(h2o_job)
            self._job.wait(POLL_SECONDS)

    def _look_at_job(self) -> Json:
        try:
            return read_job(self._client, self._state.job_key)
        except H2OError as exc:
            raise self._vanished() from exc

    def _vanished(self) -> RunLost:
        return RunLost(f"The {self._what} vanished from the cluster; it will be trained anew.")

    def _pass_on(self, h2o_job: Json) -> TrainingView:
        view = self._trainable.look(h2o_job)
        if view is None:
            raise self._vanished()
        if "leaderboard" in self._spec.datasets:
            view = replace(view, measured="measured on the leaderboard_dataset")
        for event in view.events[self._state.events_seen :]:
            self._job.log(plain_message(event.message), _LEVELS.get(event.level.upper(), "info"))
        elapsed = h2o_job["msec"] / 1000
        self._state = replace(self._state, events_seen=len(view.events), used_seconds=elapsed)
        ended = h2o_job["status"] in TERMINAL
        self._show(view, elapsed, complete=ended)
        if not ended:
            self._state = self._saver.save(self._state, view)
        if time.monotonic() > self._checkpoint_due:
            self._job.checkpoint(self._state.document())
            self._checkpoint_due = time.monotonic() + CHECKPOINT_SECONDS
        return view

    def _show(self, view: TrainingView, elapsed: float, *, complete: bool) -> None:
        board = Leaderboard(
            run=self._state.run, sort_metric=view.sort_metric, entries=list(view.entries), complete=complete
        )
        # While H2O ranks its models anew it may for a moment show fewer of them, or none.
        shown = 0 if self._board is None else len(self._board.entries)
        if view.entries and board != self._board and (complete or len(board.entries) >= shown):
            self._job.leaderboard(board)
            self._board = board
        self._models = max(self._models, view.base_models)
        progress = measure(
            models=self._models,
            max_models=self._spec.effective_max_models,
            elapsed_seconds=elapsed,
            budget_seconds=self._budget,
            now_training=view.now_training,
            share=view.share,
        )
        if progress.message != self._last_message and time.monotonic() > self._progress_due:
            fraction = None if progress.fraction is None else progress.fraction * self._share
            self._job.progress(fraction, f"Training: {progress.message}.", progress.eta_seconds)
            self._last_message = progress.message
            self._progress_due = time.monotonic() + PROGRESS_SECONDS

    def _heed_requests(self) -> None:
        mode = self._job.should_stop()
        if mode == "cancel":
            cancel(self._client, self._state.job_key)
            raise JobCancelled("The training was cancelled.")
        # An earlier attempt may have died between saving that it stops and cancelling.
        if (mode == "stop" or self._state.stopping) and not self._cancel_sent:
            self._job.log("Stopping early; the models so far are kept.")
            self._end_early()

    def _end_early(self) -> None:
        # Saved first, so that a later attempt knows that the cancelled training was ended by us.
        if not self._state.stopping:
            self._state = replace(self._state, stopping=True)
            self._job.checkpoint(self._state.document())
        self._cancel_sent = True
        cancel(self._client, self._state.job_key)

    def _require_timeliness(self, h2o_job: Json) -> None:
        """H2O reports a job as running for ever when it can't go on."""
        if not self._budget or self._state.stopping:
            return
        if h2o_job["msec"] / 1000 > self._budget * (1 + OVERTIME_SHARE) + OVERTIME_SECONDS:
            self._warn(f"H2O went on long after the {self._budget:.0f} s it was given, so it was ended.")
            self._end_early()

    def _conclude(self, h2o_job: Json, view: TrainingView) -> Trained:
        status, reason = h2o_job["status"], plain_message(h2o_job.get("exception") or "")
        if not view.entries:
            nothing = self._nothing_trained(status, reason, view)
            if not self._state.earlier or isinstance(nothing, RunLost):
                raise nothing
            self._warn(f"Run {self._state.run} trained no model, so the best of earlier runs is kept: {nothing}")
        if status == "FAILED":
            self._warn(f"H2O ended the training with an error, and the models until then are kept: {reason}")
        if status == "CANCELLED" and not self._state.stopping:
            self._warn(f"The {self._what} was cancelled inside the cluster, and the models until then are kept.")
        state = replace(self._state, phase="trained")
        self._job.checkpoint(state.document())
        return Trained(view, state, status == "CANCELLED", tuple(self._warnings))

    def _nothing_trained(self, status: str, reason: str, view: TrainingView) -> Exception:
        if self._state.stopping:
            return JobStoppedEmpty("The training was stopped before its first model was ready.")
        if status == "CANCELLED":
            return RunLost(f"The {self._what} was cancelled inside the cluster; it will be trained anew.")
        cause = reason or plain_message(view.complaint or "")
        if "OutOfMemory" in cause or "heap space" in cause:
            return out_of_memory("training")
        if not cause and self._budget:
            return InvalidInput(
                f"No model was ready within {self._budget:.0f} s; raise max_runtime_secs or include faster algorithms."
            )
        return InvalidInput(f"H2O could train no model on this data: {cause or 'it gives no reason'}")

    def _warn(self, message: str) -> None:
        self._job.log(message, "warning")
        self._warnings.append(message)
