"""Keeps models of the leaderboard as artifacts, beside the leader, so that they can be used without the cluster."""

import hashlib
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tasks.contracts import JobContext, LeaderboardEntry
from tasks.errors import JobCancelled
from tasks.h2o.algorithms import WITHOUT_MOJO
from tasks.tabular import MOST_KEPT_MODELS
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.run_state import SavedModel
from workers.runtimes.h2o_automl.saved_models import MODEL_ARTIFACT, download_model

MOST_BYTES = 1 << 30
# A stop is given ten minutes for everything that is still to be done.
STOPPED_SECONDS = 60.0
_ENSEMBLE = "StackedEnsemble"
_LONGEST_NAME = 180

Wanted = int | Literal["all"] | None


def keep_models(
    client: H2OClient,
    job: JobContext,
    wanted: Wanted,
    entries: Sequence[LeaderboardEntry],
    saved: Sequence[SavedModel] = (),
) -> dict[str, str]:
    """The artifacts of the models kept, by their ids. ``entries`` are best first, the leader of which is kept already;
    ``saved`` are those that earlier runs kept. What can't be kept is said in the log; of algorithms without a MOJO
    there is nothing to keep."""
    entries = [entry for entry in entries if entry.algo not in WITHOUT_MOJO]
    if not entries:
        return {}
    kept = {entries[0].model_id: MODEL_ARTIFACT}
    known = {model.model_id: model.artifact for model in saved if model.artifact != MODEL_ARTIFACT}
    stopped_at: float | None = None
    total = 0
    chosen = choose(entries, wanted)
    for entry in chosen:
        if entry.model_id in kept:
            continue
        if entry.model_id in known:
            kept[entry.model_id] = known[entry.model_id]
            continue
        mode = job.should_stop()
        if mode == "cancel":
            raise JobCancelled("The job was cancelled.")
        if mode == "stop":
            stopped_at = stopped_at or time.monotonic()
            if time.monotonic() > stopped_at + STOPPED_SECONDS:
                _tell_rest(job, len(kept), len(chosen), "the job was asked to stop")
                break
        mojo = job.scratch / "kept.zip"
        if not _downloaded(client, job, entry.model_id, mojo):
            continue
        total += mojo.stat().st_size
        if total > MOST_BYTES:
            mojo.unlink()
            _tell_rest(job, len(kept), len(chosen), f"together they may have {MOST_BYTES >> 20} MB")
            break
        kept[entry.model_id] = artifact = artifact_name(entry.model_id)
        job.save_artifact(artifact, mojo, "application/zip")
        mojo.unlink()
    return kept


def _tell_rest(job: JobContext, kept: int, wanted: int, why: str) -> None:
    job.log(f"{kept} of {wanted} models are kept, the best ones: {why}.", "warning")


def choose(entries: Sequence[LeaderboardEntry], wanted: Wanted) -> list[LeaderboardEntry]:
    """The models to keep, best first, with the leader."""
    if wanted == "all":
        return list(entries[:MOST_KEPT_MODELS])
    if wanted is not None:
        return list(entries[:wanted])
    single = next((entry for entry in entries if entry.algo != _ENSEMBLE), entries[0])
    return [entries[0]] if single is entries[0] else [entries[0], single]


def artifact_name(model_id: str) -> str:
    """What the artifact of a model is called: its id, as far as a name may have it."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", model_id)[-_LONGEST_NAME:]
    if name != model_id:
        # Two ids may differ only in what a name can't have.
        name = f"{name}_{hashlib.sha256(model_id.encode()).hexdigest()[:8]}"
    return f"model_{name}.zip"


def _downloaded(client: H2OClient, job: JobContext, model_id: str, target: Path) -> bool:
    try:
        download_model(client, model_id, target)
    except H2OError as exc:
        job.log(f"The model {model_id} can't be kept: {exc.message}", "warning")
        return False
    return True
