"""Explains a finished training, part by part: a part that fails is named as missing, and the job goes on."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tasks.contracts import JobContext
from tasks.errors import ClusterLost, JobCancelled
from workers.runtimes.h2o_automl.explained_parts import PART_FAILURES, Answer, Part, parts_of
from workers.runtimes.h2o_automl.parquet_records import PARQUET_TYPE, records, records_artifact
from workers.runtimes.h2o_automl.report import Picture
from workers.runtimes.h2o_automl.subject import Subject
from workers.runtimes.h2o_automl.tables import Table

# A stopped job has ten minutes to end, which training may have used in part.
STOPPED_SECONDS = 300.0


@dataclass
class Explanation:
    """Names of the artifacts that were saved, by what they are, and of the parts that could not be made; the parts
    themselves for the report."""

    artifacts: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


def explain(job: JobContext, subject: Subject, report: Callable[[float, str], None]) -> Explanation:
    """Make every part, as a table and a picture. ``report`` takes the share that is done and what comes next.

    A stop ends the explanation; one that ended the training before leaves it ``STOPPED_SECONDS``.
    """
    stop_due = time.monotonic() + (STOPPED_SECONDS if job.should_stop() == "stop" else 0)
    made = Explanation()
    tables: dict[str, list[tuple[str, Table]]] = {}
    parts = list(parts_of(job, subject))
    with _asked_ahead(parts) as answers:
        for number, (part, answer) in enumerate(zip(parts, answers, strict=True)):
            mode = job.should_stop()
            if mode == "cancel":
                raise JobCancelled("The job was cancelled while its models were explained.")
            if mode == "stop" and time.monotonic() >= stop_due:
                job.log(f"Stopped: the explanation ends before {part.name}.")
                made.missing.extend(left.name for left in parts[number:])
                break
            report(number / len(parts), part.name.replace("_", " "))
            try:
                found = answer.result()
                picture = None if found is None else found.draw()
            except PART_FAILURES as exc:
                job.log(f"The explanation lacks {part.name}: {exc}", "warning")
                made.missing.append(part.name)
            except ClusterLost as exc:
                job.log(f"The explanation ends before {part.name}: {exc}", "warning")
                made.missing.extend(left.name for left in parts[number:])
                break
            else:
                if found is not None and picture is not None:
                    _save(job, made, part, found.table, picture)
                    tables.setdefault(part.role, []).append((part.feature, found.table))
    for role, of_role in tables.items():
        save_records(job, made, role, of_role)
    return made


@contextmanager
def _asked_ahead(parts: Sequence[Part]) -> Iterator[Iterator[Future[Answer | None]]]:
    """Each part's answer. While one is drawn, the cluster is asked for the next ones, in order and one at a time; a
    lost one no more."""
    lost: list[ClusterLost] = []

    def ask(part: Part) -> Answer | None:
        if lost:
            raise lost[0]
        try:
            return part.ask()
        except ClusterLost as exc:
            lost.append(exc)
            raise

    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="explanation")
    waiting = [pool.submit(ask, part) for part in parts]
    waiting.reverse()
    try:
        # An answer is let go as soon as it was drawn.
        yield (waiting.pop() for _ in parts)
    finally:
        pool.shutdown(cancel_futures=True)


def _save(job: JobContext, made: Explanation, part: Part, table: Table, picture: bytes) -> None:
    job.save_artifact(f"{part.name}.json", table.json(), "application/json")
    job.save_artifact(f"{part.name}.png", picture, "image/png")
    made.artifacts.setdefault(part.role, []).extend([f"{part.name}.json", f"{part.name}.png"])
    made.pictures.append(Picture(part.role, table, picture))


def save_records(job: JobContext, made: Explanation, role: str, tables: Sequence[tuple[str, Table]]) -> None:
    """Keep all tables of one role, each with the feature that it is about or nothing, as one Parquet file."""
    name = records_artifact(role)
    try:
        content = records(role, tables)
    except PART_FAILURES as exc:
        job.log(f"The explanation lacks {name}: {exc}", "warning")
        made.missing.append(name)
        return
    job.save_artifact(name, content, PARQUET_TYPE)
    made.artifacts[role].append(name)
