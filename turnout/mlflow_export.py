"""A job as a run of MLflow, which only those need who ask for it."""

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from turnout import calls
from turnout.errors import ExportFailed, Unusable
from turnout.records import JobRecord
from turnout.server import Server
from turnout.steps import Plan, Work

DEFAULT_EXPERIMENT = "turnout"
_JOB_ID = "turnout.job_id"
_STATUS = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
# Of the algorithms that H2O makes no MOJO of, the model is its Java source.
_KEPT = frozenset({"model.zip", "model.java", "report.html"})
# MLflow's own limits.
_LONGEST_VALUE = 6000
_LONGEST_TAG = 5000
_PARAMETERS_AT_ONCE = 100


@dataclass(frozen=True)
class _Run:
    """What is to be written; ``files`` lie in a directory of their own."""

    job: JobRecord
    url: str
    files: Sequence[Path]


def export(server: Server, job_id: str, tracking_uri: str | None, experiment: str) -> Plan[str]:
    """Write a final job into an experiment, which is made if need be; the id of its run. The run of an earlier export
    is completed instead of made again. Raises ``Unusable`` for a job that goes on and without MLflow, and
    ``ExportFailed``."""
    mlflow = yield Work(_load)
    job = yield from calls.job(server, job_id)
    if not job.is_final:
        raise Unusable(f"Job {job.id} is {job.state}; export it once it has ended.")
    with TemporaryDirectory(prefix="turnout-export-") as name:
        files = yield from _files(server, job, Path(name))
        run = _Run(job, f"{server.url}/v1/jobs/{job.id}", files)
        return str((yield Work(partial(_write, mlflow, run, tracking_uri, experiment))))


def _load() -> ModuleType:
    try:
        return importlib.import_module("mlflow")
    except ImportError as exc:
        raise Unusable("Exporting to MLflow needs it: pip install 'turnout[mlflow]'") from exc


def _files(server: Server, job: JobRecord, directory: Path) -> Plan[list[Path]]:
    """Pictures, report, the best model, and the leaderboard as CSV."""
    found = []
    for artifact in (yield from calls.artifacts(server, job.id)):
        if artifact.name in _KEPT or artifact.media_type.startswith("image/"):
            found.append((yield from calls.download_artifact(server, job.id, artifact.name, directory)))
    board = yield from calls.leaderboard(server, job.id)
    if board.rows:
        table = directory / "leaderboard.csv"
        text = yield from calls.leaderboard_csv(server, job.id)
        yield Work(partial(table.write_text, text))
        found.append(table)
    return found


def _write(mlflow: ModuleType, run: _Run, tracking_uri: str | None, experiment: str) -> str:
    try:
        return _written(mlflow.MlflowClient(tracking_uri), mlflow.entities, run, experiment)
    except mlflow.MlflowException as exc:
        message = str(exc).strip().split("\n", 1)[0][:500]
        raise ExportFailed(f"MLflow refused job {run.job.id}: {message}") from exc


def _written(client: Any, entities: ModuleType, run: _Run, experiment: str) -> str:
    job = run.job
    run_id = _run_of(client, job, _experiment(client, experiment))
    for some in _chunks(sorted(parameters(job).items())):
        client.log_batch(run_id, params=[entities.Param(name, value) for name, value in some])
    ended = _milliseconds(job.finished_at)
    # At the job's own time, so that exporting again writes the same point.
    points = [entities.Metric(name, value, ended, 0) for name, value in metrics(job).items()]
    client.log_batch(run_id, metrics=points, tags=[entities.RunTag(name, value) for name, value in _tags(run).items()])
    for path in run.files:
        client.log_artifact(run_id, str(path))
    client.set_terminated(run_id, _STATUS[job.state], ended)
    return run_id


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name))
    if found.lifecycle_stage == "deleted":
        raise ExportFailed(f"The experiment {name!r} was deleted in MLflow; restore it there, or choose another.")
    return str(found.experiment_id)


def _run_of(client: Any, job: JobRecord, experiment_id: str) -> str:
    earlier = client.search_runs([experiment_id], f"tags.`{_JOB_ID}` = '{job.id}'", max_results=1)
    if earlier:
        return str(earlier[0].info.run_id)
    made = client.create_run(
        experiment_id,
        start_time=_milliseconds(job.started_at or job.created_at),
        tags={_JOB_ID: job.id},
        run_name=f"{job.kind} {job.id}",
    )
    return str(made.info.run_id)


def parameters(job: JobRecord) -> dict[str, str]:
    """The spec as MLflow's parameters: nested names are joined by dots, what was not given is left out."""
    found = {name: value for name, value in _flat("", job.spec) if value is not None}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in found.items()
    }
    return {name: text[:_LONGEST_VALUE] for name, text in texts.items()}


def metrics(job: JobRecord) -> dict[str, float]:
    """The leader's metrics on the test rows; none of a job that trained nothing."""
    found = (job.result or {}).get("test_metrics") or {}
    return {name: float(value) for name, value in found.items() if value is not None}


def _tags(run: _Run) -> dict[str, str]:
    job, result = run.job, run.job.result or {}
    said = {
        _JOB_ID: job.id,
        "turnout.url": run.url,
        "turnout.kind": job.kind,
        "turnout.state": job.state,
        "turnout.reason": job.reason,
        "turnout.error": None if job.error is None else job.error.get("message"),
        "turnout.leader": result.get("leader"),
        "turnout.sort_metric": result.get("sort_metric"),
        **{_allowed(f"turnout.tag.{name}"): value for name, value in job.tags.items()},
    }
    return {name: str(value)[:_LONGEST_TAG] for name, value in said.items() if value is not None}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), item)
    else:
        yield _allowed(name), value


def _allowed(name: str) -> str:
    """Column names are keys of some options, and may have any character."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "_-. ") else "_" for char in name)[:250]


def _chunks(items: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    for start in range(0, len(items), _PARAMETERS_AT_ONCE):
        yield items[start : start + _PARAMETERS_AT_ONCE]


def _milliseconds(when: datetime | None) -> int | None:
    return None if when is None else round(when.timestamp() * 1000)
