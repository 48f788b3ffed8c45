"""The parts of an explanation: what each asks of the cluster, and how its answer is drawn."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from tasks.contracts import JobContext
from tasks.errors import InvalidInput, JobOutOfMemory, UpstreamError
from workers.runtimes.h2o_automl import what_if
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.leader_quality import confusion_table
from workers.runtimes.h2o_automl.learning_curve import learning_curve
from workers.runtimes.h2o_automl.model_agreement import model_agreement
from workers.runtimes.h2o_automl.pareto_front import pareto_front
from workers.runtimes.h2o_automl.pictures.curves import draw_dependence, draw_roc
from workers.runtimes.h2o_automl.pictures.leader import (
    draw_gains,
    draw_learning,
    draw_pareto,
    draw_precision_recall,
    draw_thresholds,
)
from workers.runtimes.h2o_automl.pictures.matrices import draw_agreement, draw_confusion, draw_importance
from workers.runtimes.h2o_automl.pictures.residuals import draw_distribution, draw_groups, draw_residuals
from workers.runtimes.h2o_automl.pictures.shap import draw_contributions
from workers.runtimes.h2o_automl.pictures.what_if import draw_ice, draw_models
from workers.runtimes.h2o_automl.residuals import (
    Residuals,
    distribution_table,
    groups_table,
    residuals,
    residuals_table,
)
from workers.runtimes.h2o_automl.shap_summary import shap_summary
from workers.runtimes.h2o_automl.subject import Subject
from workers.runtimes.h2o_automl.tables import Table, slug
from workers.runtimes.h2o_automl.test_frame import Column
from workers.runtimes.h2o_automl.variable_importance import Importances, importance_table, importances, ranked

# Features with single rows, and with a comparison of models.
MOST_DETAILED = 20
# What can go wrong in one part without the others being in doubt. A lost cluster only ends the explanation: the models
# and tables saved before are worth more than another training.
PART_FAILURES = (H2OError, UpstreamError, InvalidInput, JobOutOfMemory, ArithmeticError, LookupError, ValueError)
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """A part's table, and what draws it."""

    table: Table
    draw: Callable[[], bytes]


@dataclass(frozen=True)
class Part:
    """``ask`` runs in a thread of its own, ahead of its turn, and must leave the job's context alone; it answers None
    where there is nothing to explain. ``feature`` is what the part is about, if it is about one."""

    role: str
    name: str
    ask: Callable[[], Answer | None]
    feature: str = ""


class Once(Generic[T]):
    """Asks when it is first needed; a failure is the answer for all that need it after."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._found: list[T] = []
        self._failure: Exception | None = None

    def __call__(self) -> T:
        if self._failure is not None:
            raise self._failure
        if not self._found:
            try:
                self._found.append(self._ask())
            except PART_FAILURES as exc:
                self._failure = exc
                raise
        return self._found[0]


def parts_of(job: JobContext, subject: Subject) -> Iterator[Part]:
    """In the order in which they are made and shown, the cheap ones first."""
    if subject.quality.confusion is not None:
        yield Part("confusion_matrix", "confusion_matrix", lambda: _confusion(subject))
    if subject.quality.points is not None:
        yield Part("roc", "roc", lambda: _roc(subject))
        yield Part("precision_recall", "precision_recall", lambda: _precision_recall(subject))
        yield Part("thresholds", "confusion_by_threshold", lambda: _thresholds(subject))
        yield Part("gains_lift", "gains_lift", lambda: _gains(subject))
    found = Once(lambda: importances(subject.frame.client, subject.entries, subject.features))
    features = [subject.frame.columns[name] for name in _explained_features(job, subject, found)]
    if subject.problem == "regression":
        yield from _residual_parts(job, subject, features)
    yield Part("variable_importance", "variable_importance", lambda: _importance(subject, found))
    yield Part("learning_curve", "learning_curve", lambda: _learning(subject))
    yield Part("shap_summary", "shap_summary", lambda: _contributions(job, subject, found))
    yield Part("pareto_front", "pareto_front", lambda: _pareto(subject))
    yield from _what_if_parts(job, subject, features)
    yield Part("model_correlation", "model_correlation", lambda: _agreement(job, subject))


def _residual_parts(job: JobContext, subject: Subject, features: Sequence[Column]) -> Iterator[Part]:
    """All from one look at the test rows."""
    found = Once(lambda: residuals(subject.frame, subject.leader, subject.response, features, job.scratch))
    yield Part("residuals", "residuals", lambda: _residuals(subject, found()))
    yield Part("residual_distribution", "residual_distribution", lambda: _distribution(subject, found()))
    yield Part("residuals_by_feature", "residuals_by_feature", lambda: _groups(subject, found()))


def _what_if_parts(job: JobContext, subject: Subject, features: Sequence[Column]) -> Iterator[Part]:
    """The leader's mean, single rows, and several models, by each feature; all are asked for with the first part."""
    answers = Once(lambda: _ask_what_if(job, subject, features))
    for place, feature in enumerate(features):
        name = f"partial_dependence_{slug(feature.name)}"
        ask = functools.partial(_dependence, subject, answers, place)
        yield Part("partial_dependence", name, ask, feature.name)
    for place, feature in enumerate(features[:MOST_DETAILED]):
        yield Part("ice", f"ice_{slug(feature.name)}", functools.partial(_ice, subject, answers, place), feature.name)
    if len(subject.entries) > 1:
        for place, feature in enumerate(features[:MOST_DETAILED]):
            name = f"partial_dependence_models_{slug(feature.name)}"
            ask = functools.partial(_models, subject, answers, place)
            yield Part("partial_dependence_models", name, ask, feature.name)


def _ask_what_if(job: JobContext, subject: Subject, features: Sequence[Column]) -> what_if.Answers:
    classes = subject.explained_classes
    shown = classes.index(subject.shown_class)
    return what_if.ask(subject.frame, features, subject.entries, subject.response, classes, shown, job.scratch)


def _explained_features(job: JobContext, subject: Subject, found: Once[Importances]) -> list[str]:
    """The features with a curve: all, or the most important ones."""
    usable = subject.usable_features
    most = what_if.most_features(subject.frame, subject.response)
    if len(usable) <= most:
        return usable
    job.log(f"Partial dependence is shown for the {most} most important of {len(usable)} features.", "warning")
    return by_importance(usable, found)[:most]


def by_importance(features: list[str], found: Once[Importances]) -> list[str]:
    """Most important first; as they come where there are no importances, of which their own part says why."""
    with suppress(*PART_FAILURES):
        return ranked(found(), features)
    return features


def _confusion(subject: Subject) -> Answer | None:
    confusion = subject.quality.confusion
    if confusion is None:
        return None
    return Answer(confusion_table(confusion), lambda: draw_confusion(confusion, subject.leader))


def _roc(subject: Subject) -> Answer | None:
    points = subject.quality.points
    if points is None:
        return None
    area = subject.quality.metrics["auc"] or 0.0
    return Answer(points, lambda: draw_roc(points, area, subject.leader, subject.classes[-1]))


def _precision_recall(subject: Subject) -> Answer | None:
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
    return Answer(table, lambda: draw_precision_recall(table, area, subject.leader, subject.classes[-1]))


def _thresholds(subject: Subject) -> Answer | None:
    table = subject.quality.thresholds
    return None if table is None else Answer(table, lambda: draw_thresholds(table, subject.leader))


def _gains(subject: Subject) -> Answer | None:
    table = subject.quality.gains
    return None if table is None else Answer(table, lambda: draw_gains(table, subject.leader))


def _residuals(subject: Subject, found: Residuals) -> Answer:
    table = residuals_table(found)
    return Answer(table, lambda: draw_residuals(table, subject.leader, subject.target))


def _distribution(subject: Subject, found: Residuals) -> Answer:
    table = distribution_table(found)
    return Answer(table, lambda: draw_distribution(table, found.residual, subject.leader))


def _groups(subject: Subject, found: Residuals) -> Answer:
    table = groups_table(found)
    return Answer(table, lambda: draw_groups(table, subject.leader))


def _importance(subject: Subject, found: Once[Importances]) -> Answer | None:
    table = importance_table(found(), subject.features)
    return None if table is None else Answer(table, lambda: draw_importance(table))


def _learning(subject: Subject) -> Answer | None:
    found = learning_curve(subject.frame.client, subject.entries)
    return None if found is None else Answer(found[0], lambda: draw_learning(*found))


def _contributions(job: JobContext, subject: Subject, found: Once[Importances]) -> Answer:
    features = by_importance(subject.usable_features, found)
    classes = subject.explained_classes
    table = shap_summary(subject.frame, subject.entries[0], features, subject.response, classes, job.scratch)
    return Answer(table, lambda: draw_contributions(table, subject.leader))


def _pareto(subject: Subject) -> Answer | None:
    if not subject.sort_metric:
        return None
    key = subject.frame.keys.automl(subject.response)
    table = pareto_front(subject.frame.client, key, subject.sort_metric)
    return None if table is None else Answer(table, lambda: draw_pareto(table))


def _dependence(subject: Subject, answers: Once[what_if.Answers], place: int) -> Answer:
    found = answers()
    feature, table = found.features[place], what_if.dependence_table(found, place)
    answer = "predicted probability" if len(found.classes) > 1 else subject.answer
    is_probability = bool(subject.classes)
    return Answer(table, lambda: draw_dependence(table, feature, subject.leader, answer, is_probability=is_probability))


def _ice(subject: Subject, answers: Once[what_if.Answers], place: int) -> Answer:
    found, answer = answers(), subject.answer
    return Answer(what_if.ice_table(found, place), lambda: draw_ice(found, place, answer))


def _models(subject: Subject, answers: Once[what_if.Answers], place: int) -> Answer:
    found, answer = answers(), subject.answer
    return Answer(what_if.models_table(found, place), lambda: draw_models(found, place, answer))


def _agreement(job: JobContext, subject: Subject) -> Answer | None:
    classes = subject.problem == "classification"
    table = model_agreement(subject.frame, subject.entries, job.scratch, classification=classes)
    return None if table is None else Answer(table, lambda: draw_agreement(table, classification=classes))
