"""Where a regression's leader is wrong, by how much, and for which rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from workers.runtimes.h2o_automl.automl_view import number
from workers.runtimes.h2o_automl.tables import Table
from workers.runtimes.h2o_automl.test_frame import Column, TestFrame

# Groups of a feature's numbers, which have about the same number of rows each, and levels of a category.
GROUPS = 8
MISSING = "(missing)"
OTHERS = "(others)"
PREDICTION = "(prediction)"
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Residuals:
    """Of those test rows, or of a sample, whose target is known; ``values[f]`` are feature f's, as text."""

    actual: Numbers
    predicted: Numbers
    features: Sequence[Column]
    values: Sequence[Sequence[str]]

    @property
    def residual(self) -> Numbers:
        return self.actual - self.predicted


def residuals(frame: TestFrame, model_id: str, target: str, features: Sequence[Column], scratch: Path) -> Residuals:
    """Ask for the leader's predictions, and read the rows that they are for."""
    rows = frame.values([target, *(feature.name for feature in features)], scratch)
    (predictions,) = frame.predictions([model_id], scratch)
    pairs = [(number(row[0]), number(text)) for row, text in zip(rows, predictions, strict=True)]
    known = [place for place, pair in enumerate(pairs) if None not in pair]
    actual, predicted = (np.array([pairs[place][side] for place in known], dtype=np.float64) for side in (0, 1))
    values = [[rows[place][number] for place in known] for number in range(1, len(features) + 1)]
    return Residuals(actual, predicted, features, values)


def residuals_table(found: Residuals) -> Table:
    rows = np.column_stack([found.actual, found.predicted, found.residual]).tolist()
    return Table(
        "Residuals of the leader on the test rows",
        "residual = actual - predicted.",
        ["actual", "predicted", "residual"],
        rows,
    )


def distribution_table(found: Residuals) -> Table:
    """The residuals' quantiles beside those that normally distributed residuals would have."""
    residual = found.residual
    mean, deviation = float(residual.mean()), float(residual.std())
    normal = NormalDist(mean, deviation) if deviation > 0 else None
    shares = [step / 100 for step in range(1, 100)]
    return Table(
        "Distribution of the residuals",
        f"mean {mean:.6g}, standard deviation {deviation:.6g}, mean absolute residual {np.abs(residual).mean():.6g}, "
        f"lowest {residual.min():.6g}, highest {residual.max():.6g}; normal is the quantile of a normal distribution "
        "with the same mean and deviation.",
        ["quantile", "residual", "normal"],
        [
            [share, float(value), mean if normal is None else normal.inv_cdf(share)]
            for share, value in zip(shares, np.quantile(residual, shares), strict=True)
        ],
    )


def groups_table(found: Residuals) -> Table:
    """The residuals by groups of the prediction and of each feature, features with the largest differences first."""
    residual = found.residual
    predicted = [repr(value) for value in found.predicted.tolist()]
    blocks = [(PREDICTION, group_rows(Column(PREDICTION, "real", ()), predicted))]
    by_feature = [
        (feature.name, group_rows(feature, values))
        for feature, values in zip(found.features, found.values, strict=True)
    ]
    blocks += sorted(by_feature, key=lambda block: -explained_share(residual, [rows for _name, rows in block[1]]))
    return Table(
        "Residuals by feature",
        "Groups of the test rows by what is predicted for them and by each feature's values: their number, and how "
        "their residuals (actual - predicted) are distributed. A median far from 0 is a group that the model gets "
        "wrong systematically.",
        ["feature", "group", "rows", "mean_residual", "mean_absolute_residual", "q10", "q25", "median", "q75", "q90"],
        [_group(feature, name, residual[rows]) for feature, groups in blocks for name, rows in groups],
    )


def group_rows(feature: Column, values: Sequence[str]) -> list[tuple[str, npt.NDArray[np.intp]]]:
    """The numbers of the rows of each group, by the group's name; no group is empty."""
    texts = np.array(values, dtype=object)
    given = np.flatnonzero(texts != "")
    missing = np.flatnonzero(texts == "")
    groups = _level_groups(texts, given) if feature.levels else _number_groups(feature, texts, given)
    return [*groups, *([(MISSING, missing)] if missing.size else [])]


def explained_share(residual: Numbers, groups: Sequence[npt.NDArray[np.intp]]) -> float:
    """How much of the residuals' variance lies between the groups, 0 to 1."""
    total = float(((residual - residual.mean()) ** 2).sum())
    between = sum(rows.size * (residual[rows].mean() - residual.mean()) ** 2 for rows in groups)
    return float(between) / total if total > 0 else 0.0


def _level_groups(
    texts: npt.NDArray[np.object_], given: npt.NDArray[np.intp]
) -> list[tuple[str, npt.NDArray[np.intp]]]:
    counts = Counter(texts[given])
    shown = [level for level, _count in counts.most_common(GROUPS if len(counts) <= GROUPS else GROUPS - 1)]
    groups = [(level, given[texts[given] == level]) for level in shown]
    others = given[~np.isin(texts[given].astype(str), shown)]
    return [*groups, *([(OTHERS, others)] if others.size else [])]


def _number_groups(
    feature: Column, texts: npt.NDArray[np.object_], given: npt.NDArray[np.intp]
) -> list[tuple[str, npt.NDArray[np.intp]]]:
    numbers = texts[given].astype(np.float64)
    if not numbers.size:
        return []
    distinct = np.unique(numbers)
    if distinct.size <= GROUPS:
        return [(_shown(feature, value, value), given[numbers == value]) for value in distinct.tolist()]
    # Inner edges may coincide where many rows have the same value.
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, GROUPS + 1)[1:-1]))
    places = np.searchsorted(edges, numbers, side="left")
    groups = []
    for place in np.unique(places):
        inside = numbers[places == place]
        groups.append((_shown(feature, float(inside.min()), float(inside.max())), given[places == place]))
    return groups


def _shown(feature: Column, low: float, high: float) -> str:
    if feature.kind == "time":
        first, last = (datetime.fromtimestamp(value / 1000, UTC).date().isoformat() for value in (low, high))
    else:
        first, last = f"{low:.4g}", f"{high:.4g}"
    return first if first == last else f"{first} to {last}"


def _group(feature: str, name: str, residual: Numbers) -> list[JsonValue]:
    quantiles = np.quantile(residual, _QUANTILES).tolist()
    return [feature, name, len(residual), float(residual.mean()), float(np.abs(residual).mean()), *quantiles]
