"""Trainings and the models that they made, side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, JsonValue
from sqlalchemy.orm import Session

from api.tested_rows import why_not_comparable
from db.jobs import leaderboard_of
from db.rows import JobRow
from tasks.tabular import TableTraining

# Of the metrics on test rows; of all others less is better, where there is a target.
_HIGHER_IS_BETTER = frozenset({"auc", "aucpr", "accuracy", "r2"})
_UNSUPERVISED = "unsupervised"


class ComparedItem(BaseModel):
    """One training, or one of its models. ``model`` is the name and version that was asked for, if it was one.
    ``test_metrics`` are measured on the test rows, which is done for a training's leader only;
    ``leaderboard_metrics`` in training, by cross-validation unless off."""

    item: str
    job: str
    kind: str
    model: str | None
    model_id: str
    algo: str | None
    is_leader: bool
    target: str | None
    problem: str
    rows: dict[str, int]
    sort_metric: str
    test_metrics: dict[str, float | None]
    leaderboard_metrics: dict[str, float | None]


class ComparedMetric(BaseModel):
    """A metric on the test rows, a value for each item; ``best`` are the places of the best values, none where they
    can't be compared, and without a target, where no metric tells it."""

    name: str
    values: list[float | None]
    best: list[int]


class DifferingOption(BaseModel):
    """An option that the trainings were given different values of, one for each item; null where it has none."""

    name: str
    values: list[JsonValue]


class Comparison(BaseModel):
    """``comparable``: all were tested on the same rows; else ``caveats`` say what differs."""

    items: list[ComparedItem]
    comparable: bool
    caveats: list[str]
    metrics: list[ComparedMetric]
    options: list[DifferingOption]


@dataclass(frozen=True)
class Training:
    """A training that succeeded; ``item`` is what was asked for, ``artifact`` the model of it that is meant, the leader
    if None. What is compared has a ``model_id``."""

    item: str
    job: JobRow
    spec: TableTraining
    result: Mapping[str, Any]
    model: str | None = None
    artifact: str | None = None

    @property
    def model_id(self) -> str | None:
        """None where the artifact is none of the models that the training kept."""
        kept, made = self.result.get("kept_models") or {}, self.result["artifacts"]
        for model_id, artifact in kept.items():
            if artifact == self.artifact:
                return str(model_id)
        of_leader = (None, *made.get("model", ()), *made.get("model_source", ()))
        return str(self.result["leader"]) if self.artifact in of_leader else None


def compare(session: Session, trainings: Sequence[Training]) -> Comparison:
    items = [_item(session, training) for training in trainings]
    caveats = why_not_comparable(session, [(one.job, one.spec, one.result) for one in trainings])
    untested = [
        f"{one.item} ({one.model_id}) was not measured on the test rows." for one in items if not one.test_metrics
    ]
    unjudged = bool(caveats) or any(one.problem == _UNSUPERVISED for one in items)
    names = list(dict.fromkeys(name for one in items for name in one.test_metrics))
    values = [[one.test_metrics.get(name) for one in items] for name in names]
    return Comparison(
        items=items,
        comparable=not caveats,
        caveats=[*caveats, *untested],
        metrics=[
            ComparedMetric(name=name, values=row, best=[] if unjudged else _best(name, row))
            for name, row in zip(names, values, strict=True)
        ],
        options=_differing(trainings),
    )


def _item(session: Session, training: Training) -> ComparedItem:
    result, job = training.result, training.job
    model_id = training.model_id or ""
    board = leaderboard_of(session, job.id)
    entry = next((row for row in (board[1] if board else ()) if row.model_id == model_id), None)
    is_leader = model_id == result["leader"]
    return ComparedItem(
        item=training.item,
        job=job.id,
        kind=job.kind,
        model=training.model,
        model_id=model_id,
        algo=entry.algo if entry is not None else result["leader_algo"] if is_leader else None,
        is_leader=is_leader,
        target=training.spec.target,
        problem=result["problem"],
        rows=result["rows"],
        sort_metric=result["sort_metric"],
        test_metrics=result["test_metrics"] if is_leader else {},
        leaderboard_metrics={} if entry is None else entry.metrics,
    )


def _best(name: str, values: Sequence[float | None]) -> list[int]:
    known = [value for value in values if value is not None]
    choose: Callable[[list[float]], float] = max if name in _HIGHER_IS_BETTER else min
    return [index for index, value in enumerate(values) if len(known) > 1 and value == choose(known)]


def _differing(trainings: Sequence[Training]) -> list[DifferingOption]:
    specs = [training.spec.model_dump(mode="json") for training in trainings]
    names = list(dict.fromkeys(name for spec in specs for name in spec))
    rows = {name: [spec.get(name) for spec in specs] for name in names}
    return [
        DifferingOption(name=name, values=row) for name, row in rows.items() if any(value != row[0] for value in row)
    ]
