"""Removes what a job made in a cluster: REST's defaults would leave every model and prediction there."""

import re
from collections.abc import Iterable
from dataclasses import replace

from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.frames import end_jobs, frame_names, remove_key
from workers.runtimes.h2o_automl.keys import RunKeys
from workers.runtimes.h2o_automl.run_state import RunState
from workers.runtimes.h2o_automl.saved_models import remove_brought
from workers.runtimes.h2o_automl.trainable import trainable


def remove_run(client: H2OClient, state: RunState) -> None:
    """Remove everything of one run of the job, whatever it is doing."""
    end_jobs(client, state.keys.prefix)
    remove_frames(client, state.keys.prefix, trainable(client, state).remove())


def remove_job(client: H2OClient, state: RunState) -> None:
    """Remove everything of all runs of the job from this cluster. What is gone already is no error."""
    tags: set[str] = set()
    end_jobs(client, RunKeys(state.job_id, state.run).job_prefix)
    for run in range(1, state.run + 1):
        tags |= trainable(client, replace(state, run=run)).remove()
    remove_brought(client, state.earlier)
    remove_frames(client, RunKeys(state.job_id, state.run).job_prefix, tags)


def remove_run_frames(client: H2OClient, keys: RunKeys) -> None:
    """Remove the frames of a run whose training never started, so that it can begin again under the same names."""
    end_jobs(client, keys.prefix)
    remove_frames(client, keys.prefix, ())


def remove_frames(client: H2OClient, prefix: str, tags: Iterable[str]) -> None:
    """Remove frames whose name has the job's prefix (H2O derives names) or one of its AutoMLs' instance tags."""
    # A tag is followed by an underscore or ends the name, or AutoML_1 would match AutoML_1…0.
    tagged = [re.compile(re.escape(tag) + r"(?!\d)") for tag in tags]
    for name in frame_names(client):
        if prefix in name or any(pattern.search(name) for pattern in tagged):
            remove_key(client, name)
