"""One AutoML through Turnout, and the same through the ``h2o`` client on the same cluster."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import h2o
from h2o.automl import H2OAutoML

from bench.automl_parts.cases import Case
from turnout import Client, Job
from turnout.records import File
from turnout.stack import Connection

# Scores in cross-validation are the same numbers whoever asks for them; other numbers would be other work.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Timed:
    """Seconds, the metric that the leaderboard is sorted by, and its scores, best first."""

    seconds: float
    metric: str
    scores: tuple[float, ...]


def by_turns(pairs: int, baseline: Callable[[], Timed], ours: Callable[[], Timed]) -> tuple[list[Timed], list[Timed]]:
    """Each side ``pairs`` times, the first one changing, so that neither always finds the warmer cluster."""
    results: tuple[list[Timed], list[Timed]] = ([], [])
    for number in range(pairs):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            timed = (baseline, ours)[side]()
            print(f"  {('baseline', 'Turnout')[side]} {timed.seconds:.2f} s", flush=True)
            results[side].append(timed)
    return results


def is_same_work(timed: list[Timed]) -> bool:
    """Whether all trained models of the same scores."""
    first = timed[0].scores
    return all(
        len(other.scores) == len(first)
        and all(abs(a - b) <= TOLERANCE * max(1.0, abs(a)) for a, b in zip(first, other.scores, strict=True))
        for other in timed[1:]
    )


def through_turnout(client: Client, case: Case, file: File) -> Timed:
    """From submission to the committed result."""
    began = time.monotonic()
    job = submit(client, case, file)
    record = job.wait(600)
    seconds = time.monotonic() - began
    if record.state != "succeeded":
        raise SystemExit(f"The job {record.state}: {record.error}")
    return timed_board(job, seconds)


def to_leaderboard(client: Client, case: Case) -> Timed:
    """From the upload to the whole leaderboard, which is there before the leader is tested and saved."""
    began = time.monotonic()
    job = submit(client, case, client.upload(case.path))
    for event in job.stream():
        if event.type == "leaderboard" and job.leaderboard().complete:
            break
    timed = timed_board(job, time.monotonic() - began)
    # The next measurement begins on an idle cluster.
    job.wait(600)
    return timed


def submit(client: Client, case: Case, file: File, *, explain: bool = False) -> Job:
    return client.submit(
        "train_automl",
        {
            "dataset": file,
            "target": case.target,
            "features": None if case.features is None else list(case.features),
            "problem": "classification" if case.is_classification else "regression",
            "split": {"ratios": list(case.ratios), "seed": case.split_seed},
            "explain": explain,
            **case.options,
        },
    )


def timed_board(job: Job, seconds: float) -> Timed:
    board = job.leaderboard()
    return Timed(seconds, board.sort_metric, tuple(float(row.metrics[board.sort_metric] or 0) for row in board.rows))


def connect_directly(connection: Connection) -> None:
    """The same cluster as the worker's, with the password that only its user can read."""
    file = connection.home / "h2o" / "cluster.json"
    while not file.exists():
        time.sleep(0.1)
    cluster = json.loads(file.read_text())
    h2o.connect(url=cluster["url"], auth=(cluster["user"], cluster["password"]), verbose=False)
    h2o.no_progress()


def directly(case: Case) -> Timed:
    """What a script does on a cluster that is up: data in, split, train, leaderboard, the leader on the test rows."""
    began = time.monotonic()
    table = h2o.upload_file(str(case.path))
    if case.is_classification:
        table[case.target] = table[case.target].asfactor()
    train, *valid, test = table.split_frame(list(case.ratios[:-1]), seed=case.split_seed)
    features = list(case.features or (name for name in table.columns if name != case.target))
    automl = H2OAutoML(project_name=f"direct_{time.monotonic_ns()}", **case.options)
    automl.train(x=features, y=case.target, training_frame=train, validation_frame=valid[0] if valid else None)
    board = automl.leaderboard.as_data_frame(use_multi_thread=False)
    automl.leader.model_performance(test)
    seconds = time.monotonic() - began
    h2o.remove(automl.project_name)
    metric = str(board.columns[1])
    return Timed(seconds, metric, tuple(map(float, board[metric])))
