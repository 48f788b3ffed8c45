"""Trainings on a cluster, from the checked data to the explained best model."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from tasks.automl import AutoMLSpec
from tasks.contracts import Document, JobContext
from tasks.errors import ClusterLost, JobCancelled, JobStoppedEmpty
from tasks.h2o.model_spec import H2OModelSpec
from tasks.tables.encodings import as_utf8
from tasks.tabular import TableTraining, TrainingResult
from workers.runtimes.h2o_automl import training
from workers.runtimes.h2o_automl.automl_request import automl_request
from workers.runtimes.h2o_automl.cleanup import remove_job, remove_run, remove_run_frames
from workers.runtimes.h2o_automl.client import H2OClient, Json
from workers.runtimes.h2o_automl.connection import ClusterSource, KeptCluster
from workers.runtimes.h2o_automl.data_preparation import heed_stop, parts_of, prepare_frames
from workers.runtimes.h2o_automl.failures import H2OError, doing
from workers.runtimes.h2o_automl.memory_guard import estimate, require_room
from workers.runtimes.h2o_automl.model_request import model_request
from workers.runtimes.h2o_automl.nodes import NodeLost
from workers.runtimes.h2o_automl.outcome import conclude, conclude_saved
from workers.runtimes.h2o_automl.room import take_room
from workers.runtimes.h2o_automl.run_state import AUTOML, Entry, RunState, Training, enter
from workers.runtimes.h2o_automl.saved_models import set_aside
from workers.runtimes.h2o_automl.table_check import CheckedData, check_tables, option_of
from workers.runtimes.h2o_automl.trainable import trainable

CLUSTER_PATIENCE_SECONDS = 120.0
RESTART_PATIENCE_SECONDS = 1800.0
# The explanation's part of the whole job's progress.
EXPLANATION_SHARE = 0.1


class H2OAutoMLRuntime:
    """The ``tasks.runtimes.H2OAutoML`` of one cluster."""

    runtime_name: ClassVar[str] = "h2o_automl"

    def __init__(self, source: ClusterSource) -> None:
        self._source = source

    def train(self, spec: TableTraining, job: JobContext) -> TrainingResult:
        paths = _input_paths(spec, job)
        job.progress(0.0, "Checking the data.")
        paths = {role: as_utf8(path, option_of(role), spec.encoding, job.scratch) for role, path in paths.items()}
        others = {role: path for role, path in paths.items() if role != "dataset"}
        data = check_tables(spec, paths["dataset"], others)
        try:
            with self._connected(job) as client, doing("the job"):
                state = self._enter_run(client, job, spec, data, paths)
                share = 1 - EXPLANATION_SHARE if spec.explain else 1.0
                trained = training.Watch(client, job, spec, state, share).until_end()
                return conclude(client, job, spec, data, trained, share)
        except JobStoppedEmpty:
            saved = _saved_state(job)
            if saved is None or not saved.saved:
                raise
            return conclude_saved(job, data, saved)

    def clean_up(self, checkpoint: Document) -> None:
        state = RunState.from_document(checkpoint)
        address = self._source.locate()
        if address is None or address.cluster_id not in (None, state.cluster_id):
            # What was in a cluster that the keeper ended is gone with it.
            return
        # One that doesn't answer may come back with everything in it, the claim of its room too.
        client = H2OClient(self._source, _unguarded)
        try:
            if client.cluster_id == state.cluster_id:
                with doing("the clean-up"):
                    remove_job(client, state)
        finally:
            client.close()

    @contextmanager
    def _connected(self, job: JobContext) -> Iterator[H2OClient]:
        client = self._connect(job)
        try:
            yield client
        finally:
            client.close()

    def _connect(self, job: JobContext) -> H2OClient:
        """Connect to the cluster, waiting for one that is starting, or that replaces one that died."""
        began = time.monotonic()
        said = ""
        while True:
            if job.should_stop() == "cancel":
                raise JobCancelled("The job was cancelled.")
            try:
                return H2OClient(self._source, job.guard)
            except ClusterLost as exc:
                # A stop keeps what the cluster has; without a cluster there is nothing.
                heed_stop(job)
                if time.monotonic() - began > self._patience(job, exc):
                    raise
                why = (
                    f"Waiting for the H2O cluster. {exc}"
                    if isinstance(exc, NodeLost)
                    else "Waiting for the H2O cluster."
                )
            if why != said:
                job.progress(0.0, why)
                said = why
            job.wait(0.5)

    def _patience(self, job: JobContext, cause: ClusterLost) -> float:
        """People restart an external cluster, and it was there: it lost a node, or the job was in it before."""
        was_there = isinstance(cause, NodeLost) or job.saved_checkpoint is not None
        external = not isinstance(self._source, KeptCluster)
        return RESTART_PATIENCE_SECONDS if external and was_there else CLUSTER_PATIENCE_SECONDS

    def _enter_run(
        self, client: H2OClient, job: JobContext, spec: TableTraining, data: CheckedData, paths: dict[str, Path]
    ) -> RunState:
        saved = _saved_state(job)
        how, state = enter(
            saved,
            job.job_id,
            data.response(spec.target),
            client.cluster_id,
            lambda run: trainable(client, run).exists(),
            _training_of(spec),
        )
        if how is Entry.ATTACH:
            return training.attach(client, job, state)
        heed_stop(job)
        room = require_room(client, job, spec, estimate(data.tables, paths.values()))
        if how is Entry.REPEAT:
            remove_run_frames(client, state.keys)
        if saved is not None and how is Entry.BEGIN:
            self._leave_run(client, saved)
            budget = spec.effective_max_runtime_secs
            left = f" with {state.remaining_seconds(budget):.1f} of {budget:.1f} s" if budget else ""
            job.log(
                f"The {state.training.what} of run {saved.run} can't go on; run {state.run} begins{left}.", "warning"
            )
            state = set_aside(job, state)
        job.checkpoint(state.document())
        take_room(client, job, state.keys, room)
        job.progress(0.0, "Bringing the data into the cluster.")
        state = replace(state, rows=prepare_frames(client, job, spec, state.keys, data, paths))
        request = _request(spec, state, data)
        heed_stop(job)
        with doing("starting the training"):
            return training.start(client, job, state, request)

    def _leave_run(self, client: H2OClient, run: RunState) -> None:
        """Remove a run that was given up, as far as that works now: the next one has other names."""
        if run.cluster_id == client.cluster_id:
            with suppress(H2OError):
                remove_run(client, run)


def _saved_state(job: JobContext) -> RunState | None:
    return None if job.saved_checkpoint is None else RunState.from_document(job.saved_checkpoint)


def _input_paths(spec: TableTraining, job: JobContext) -> dict[str, Path]:
    return {role: job.input_path(source) for role, source in spec.datasets.items()}


def _training_of(spec: TableTraining) -> Training:
    if isinstance(spec, H2OModelSpec):
        return Training("model" if spec.hyper_params is None else "grid", spec.algo, spec.sort_metric)
    return AUTOML


def _request(spec: TableTraining, state: RunState, data: CheckedData) -> Json:
    columns, features, response = data.dataset.columns, data.features, data.response(spec.target)
    budget = state.remaining_seconds(spec.effective_max_runtime_secs)
    validated = "validation" in parts_of(spec)
    if isinstance(spec, H2OModelSpec):
        return model_request(
            spec,
            state.keys,
            columns=columns,
            features=features,
            response=response,
            budget_seconds=budget,
            validated=validated,
        )
    if isinstance(spec, AutoMLSpec):
        return automl_request(
            spec,
            state.keys,
            columns=columns,
            features=features,
            response=response,
            budget_seconds=budget,
            validated=validated,
        )
    raise TypeError(f"nothing here trains a {type(spec).__name__}")


def _unguarded() -> None:
    """Clean-up belongs to whoever the database lets do it, after the job's end; there is no lease to check."""
