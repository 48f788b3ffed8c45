"""Explains a finished training, part by part: a part that fails is named as missing, and the job goes on."""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tasks.automl import AutoMLSpec
from tasks.contracts import JobContext, LeaderboardEntry
from tasks.errors import ClusterLost, InvalidInput, JobCancelled, JobOutOfMemory, UpstreamError
from workers.runtimes.h2o_automl import what_if
from workers.runtimes.h2o_automl.contributions import MOST_COLUMNS, best_tree, contributions
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.leader_quality import Quality, confusion_table
from workers.runtimes.h2o_automl.learning_curve import learning_curve
from workers.runtimes.h2o_automl.model_agreement import model_agreement
from workers.runtimes.h2o_automl.pareto_front import pareto_front
from workers.runtimes.h2o_automl.partial_dependence import explained_classes, partial_dependence
from workers.runtimes.h2o_automl.pictures.curves import draw_dependence, draw_residuals, draw_roc
from workers.runtimes.h2o_automl.pictures.leader import (
    draw_contributions,
    draw_gains,
    draw_learning,
    draw_pareto,
    draw_precision_recall,
    draw_thresholds,
)
from workers.runtimes.h2o_automl.pictures.matrices import draw_agreement, draw_confusion, draw_importance
from workers.runtimes.h2o_automl.pictures.what_if import draw_ice, draw_models
from workers.runtimes.h2o_automl.report import Picture
from workers.runtimes.h2o_automl.residuals import residuals
from workers.runtimes.h2o_automl.tables import Table, slug
from workers.runtimes.h2o_automl.test_frame import TestFrame
from workers.runtimes.h2o_automl.variable_importance import variable_importance

MOST_FEATURES = 50
# A stopped job has ten minutes to end, which training may have used in part.
STOPPED_SECONDS = 300.0
# What can go wrong in one part without the others being in doubt. A lost cluster only ends the explanation: the models
# and tables saved before are worth more than another training.
PART_FAILURES = (H2OError, UpstreamError, InvalidInput, JobOutOfMemory, ArithmeticError, LookupError, ValueError)

Drawn = tuple[Table, bytes]


@dataclass(frozen=True)
class Subject:
    """What is explained. ``entries`` are the leaderboard's, the leader first; ``response`` is the target's name in the
    test frame."""

    spec: AutoMLSpec
    problem: str
    features: tuple[str, ...]
    entries: tuple[LeaderboardEntry, ...]
    quality: Quality
    frame: TestFrame
    response: str
    sort_metric: str = ""

    @property
    def leader(self) -> str:
        return self.entries[0].model_id


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
    parts = list(_parts(job, subject))
    for number, (role, name, make) in enumerate(parts):
        mode = job.should_stop()
        if mode == "cancel":
            raise JobCancelled("The job was cancelled while its models were explained.")
        if mode == "stop" and time.monotonic() >= stop_due:
            job.log(f"Stopped: the explanation ends before {name}.")
            made.missing.extend(left for _, left, _ in parts[number:])
            break
        report(number / len(parts), name.replace("_", " "))
        try:
            drawn = make()
        except PART_FAILURES as exc:
            job.log(f"The explanation lacks {name}: {exc}", "warning")
            made.missing.append(name)
        except ClusterLost as exc:
            job.log(f"The explanation ends before {name}: {exc}", "warning")
            made.missing.extend(left for _, left, _ in parts[number:])
            break
        else:
            if drawn is not None:
                _save(job, made, role, name, drawn)
    return made


def _parts(job: JobContext, subject: Subject) -> Iterator[tuple[str, str, Callable[[], Drawn | None]]]:
    """Role, name and maker of each part, the cheap ones first."""
    if subject.quality.confusion is not None:
        yield "confusion_matrix", "confusion_matrix", lambda: _confusion(subject)
    if subject.quality.points is not None:
        yield "roc", "roc", lambda: _roc(subject)
        yield "precision_recall", "precision_recall", lambda: _precision_recall(subject)
        yield "thresholds", "confusion_by_threshold", lambda: _thresholds(subject)
        yield "gains_lift", "gains_lift", lambda: _gains(subject)
    if subject.problem == "regression":
        yield "residuals", "residuals", lambda: _residuals(job, subject)
    yield "variable_importance", "variable_importance", lambda: _importance(subject)
    yield "learning_curve", "learning_curve", lambda: _learning(subject)
    if len(subject.frame.columns[subject.response].levels) <= 2 and len(subject.features) <= MOST_COLUMNS:
        yield "shap_summary", "shap_summary", lambda: _contributions(job, subject)
    yield "pareto_front", "pareto_front", lambda: _pareto(subject)
    for feature in _explained_features(job, subject):
        name = f"partial_dependence_{slug(feature)}"
        yield "partial_dependence", name, lambda feature=feature: _dependence(subject, feature)  # type: ignore[misc]
    yield from _what_if_parts(job, subject)
    yield "model_correlation", "model_correlation", lambda: _agreement(job, subject)


def _what_if_parts(job: JobContext, subject: Subject) -> Iterator[tuple[str, str, Callable[[], Drawn | None]]]:
    """Single rows, and several models, by each feature; all are asked for when the first part is made."""
    most = what_if.most_features(subject.frame, subject.response)
    features = [subject.frame.columns[name] for name in _usable_features(subject)[:most]]
    label = _shown_class(subject)
    target = subject.spec.target
    answer = f"prediction of {target}" if label is None else f"probability of {target} = {label}"

    @functools.cache
    def answers() -> what_if.Answers:
        return what_if.ask(subject.frame, features, subject.entries, subject.response, label, job.scratch)

    def single_rows(place: int) -> Drawn:
        return what_if.ice_table(answers(), place), draw_ice(answers(), place, answer)

    def models(place: int) -> Drawn:
        return what_if.models_table(answers(), place), draw_models(answers(), place, answer)

    for place, feature in enumerate(features):
        yield "ice", f"ice_{slug(feature.name)}", functools.partial(single_rows, place)
    if len(subject.entries) > 1:
        for place, feature in enumerate(features):
            name = f"partial_dependence_models_{slug(feature.name)}"
            yield "partial_dependence_models", name, functools.partial(models, place)


def _shown_class(subject: Subject) -> str | None:
    """The class whose probability is shown: the second of two, else the most frequent; None for numbers."""
    levels = subject.frame.columns[subject.response].levels
    if len(levels) <= 2:
        return levels[-1] if levels else None
    counts = subject.frame.level_counts(subject.response)
    return levels[counts.index(max(counts))]


def _usable_features(subject: Subject) -> list[str]:
    """The features that a model may have learned from: H2O learns nothing from free text."""
    return [name for name in subject.features if subject.frame.columns[name].kind not in ("string", "uuid", "bad")]


def _explained_features(job: JobContext, subject: Subject) -> list[str]:
    """The features with a curve."""
    usable = _usable_features(subject)
    if len(usable) > MOST_FEATURES:
        job.log(f"Partial dependence is shown for the first {MOST_FEATURES} of {len(usable)} features.", "warning")
    return usable[:MOST_FEATURES]


def _save(job: JobContext, made: Explanation, role: str, name: str, drawn: Drawn) -> None:
    table, picture = drawn
    job.save_artifact(f"{name}.json", table.json(), "application/json")
    job.save_artifact(f"{name}.png", picture, "image/png")
    made.artifacts.setdefault(role, []).extend([f"{name}.json", f"{name}.png"])
    made.pictures.append(Picture(role, table, picture))


def _confusion(subject: Subject) -> Drawn | None:
    confusion = subject.quality.confusion
    return None if confusion is None else (confusion_table(confusion), draw_confusion(confusion, subject.leader))


def _roc(subject: Subject) -> Drawn | None:
    points = subject.quality.points
    if points is None:
        return None
    return points, draw_roc(points, subject.quality.metrics["auc"] or 0.0, subject.leader, _positive(subject))


def _precision_recall(subject: Subject) -> Drawn | None:
    points = subject.quality.points
    if points is None:
        return None
    columns = ["threshold", "precision", "recall"]
    places = [list(points.columns).index(name) for name in columns]
    table = Table(
        "Precision and recall of the leader on the test rows",
        "One row per threshold above which a row is predicted to be of the second class.",
        columns,
        [[row[place] for place in places] for row in points.rows],
    )
    area = subject.quality.metrics.get("aucpr") or 0.0
    return table, draw_precision_recall(table, area, subject.leader, _positive(subject))


def _positive(subject: Subject) -> str:
    return subject.frame.columns[subject.response].levels[-1]


def _thresholds(subject: Subject) -> Drawn | None:
    table = subject.quality.thresholds
    return None if table is None else (table, draw_thresholds(table, subject.leader))


def _gains(subject: Subject) -> Drawn | None:
    table = subject.quality.gains
    return None if table is None else (table, draw_gains(table, subject.leader))


def _learning(subject: Subject) -> Drawn | None:
    found = learning_curve(subject.frame.client, subject.entries)
    return None if found is None else (found[0], draw_learning(*found))


def _contributions(job: JobContext, subject: Subject) -> Drawn | None:
    entry = best_tree(subject.entries)
    if entry is None:
        return None
    table = contributions(subject.frame, entry.model_id, job.scratch)
    return table, draw_contributions(table, entry.model_id)


def _pareto(subject: Subject) -> Drawn | None:
    if not subject.sort_metric:
        return None
    key = subject.frame.keys.automl(subject.response)
    table = pareto_front(subject.frame.client, key, subject.sort_metric)
    return None if table is None else (table, draw_pareto(table))


def _residuals(job: JobContext, subject: Subject) -> Drawn:
    table = residuals(subject.frame, subject.leader, subject.response, job.scratch)
    return table, draw_residuals(table, subject.leader, subject.spec.target)


def _importance(subject: Subject) -> Drawn | None:
    table = variable_importance(subject.frame.client, subject.entries, subject.features)
    return None if table is None else (table, draw_importance(table))


def _dependence(subject: Subject, name: str) -> Drawn:
    frame, target = subject.frame, subject.spec.target
    feature = frame.columns[name]
    levels = frame.columns[subject.response].levels
    classes = explained_classes(frame, subject.response) if len(levels) > 2 else []
    table = partial_dependence(frame, subject.leader, feature, classes)
    if not levels:
        answer = f"prediction of {target}"
    else:
        answer = "predicted probability" if classes else f"predicted probability of {target} = {levels[-1]}"
    return table, draw_dependence(table, feature, subject.leader, answer, is_probability=bool(levels))


def _agreement(job: JobContext, subject: Subject) -> Drawn | None:
    classes = subject.problem == "classification"
    table = model_agreement(subject.frame, subject.entries, job.scratch, classification=classes)
    return None if table is None else (table, draw_agreement(table, classification=classes))
