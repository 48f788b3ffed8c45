"""AutoML jobs of the stories, and a look into the cluster behind them."""

import json
from typing import Any

import httpx

from tests.acceptance.program import Program
from tests.waiting import until
from turnout import Client
from turnout.job import Job
from turnout.records import File

EXAMPLE: dict[str, Any] = {
    "target": "y",
    "features": ["x1", "x2"],
    "problem": "classification",
    "split": {"ratios": [0.6, 0.2, 0.2], "seed": 133},
    "max_models": 10,
    "max_runtime_secs": 0,
    "seed": 2,
}


def submit_automl(client: Client, dataset: File, **changes: Any) -> Job:
    return client.submit("train_automl", {**EXAMPLE, "dataset": dataset, **changes})


def wait_for_models(job: Job, count: int = 1) -> None:
    """Until the job runs and its leaderboard has so many models."""

    def enough() -> bool:
        assert not job.refresh().is_final, job.record
        return len(job.leaderboard().rows) >= count

    until(enough, 120, what=f"{count} models on the leaderboard")


def story(job: Job) -> list[tuple[str, str | None]]:
    return [(attempt.outcome, attempt.reason) for attempt in job.attempts()]


def left_in_h2o(program: Program) -> list[str]:
    """The keys of frames and models in the embedded cluster."""
    with _cluster(program) as h2o:
        listed = [h2o.get("/3/Frames"), h2o.get("/3/Models")]
    if not all(answer.is_success for answer in listed):
        # H2O answers 404 when something it was just listing is removed.
        return ["being removed"]
    frames, models = (answer.json() for answer in listed)
    return [
        *(frame["frame_id"]["name"] for frame in frames["frames"]),
        *(model["model_id"]["name"] for model in models["models"]),
    ]


def trainings(program: Program, job: Job) -> list[str]:
    """How H2O says that the AutoML runs of a job stand: ``RUNNING``, ``DONE``, ``CANCELLED`` or ``FAILED``."""
    prefix = f"job_{job.id.replace('-', '')}_"
    with _cluster(program) as h2o:
        listed = h2o.get("/3/Jobs").raise_for_status().json()["jobs"]
    return [each["status"] for each in listed if each["dest"] and each["dest"]["name"].startswith(prefix)]


def _cluster(program: Program) -> httpx.Client:
    cluster = json.loads((program.home / "h2o" / "cluster.json").read_text())
    return httpx.Client(base_url=cluster["url"], auth=(cluster["user"], cluster["password"]), timeout=30)
