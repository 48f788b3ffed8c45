"""Partial dependence and ROC."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from pydantic import JsonValue

from workers.runtimes.h2o_automl.pictures.canvas import LINE_COLOURS, REFERENCE_LINE, draw, open_frame
from workers.runtimes.h2o_automl.tables import Table, short_model, truncated
from workers.runtimes.h2o_automl.test_frame import Column


def draw_dependence(table: Table, feature: Column, model_id: str, answer: str, *, is_probability: bool) -> bytes:
    """Lines for numbers and times, dots for categories; one colour per class. ``answer`` names what is predicted."""
    title = f"Partial dependence on {truncated(feature.name, 40)}"
    subtitle = f"{short_model(model_id)}; with 95 % confidence of the mean"
    groups: dict[str, list[Sequence[JsonValue]]] = {}
    for row in table.rows:
        groups.setdefault("" if row[0] is None else str(row[0]), []).append(row[1:])
    if not feature.levels:
        return draw(7.2, 4.6, title, subtitle, lambda axes: _lines(axes, groups, feature, answer, is_probability))
    levels = len(next(iter(groups.values())))
    height = 1.9 + max(1.6, 0.3 * levels)
    return draw(7.2, height, title, subtitle, lambda axes: _dots(axes, groups, feature, answer))


def draw_roc(points: Table, auc: float, model_id: str, positive: str) -> bytes:
    """The table has one row per threshold, with columns ``fpr`` and ``tpr``."""
    fpr, tpr = ([row[points.columns.index(name)] for row in points.rows] for name in ("fpr", "tpr"))

    def paint(axes: Axes) -> None:
        open_frame(axes)
        axes.plot([0, 1], [0, 1], label="chance", **REFERENCE_LINE)
        axes.plot(
            [0, *_floats(fpr), 1], [0, *_floats(tpr), 1], color=LINE_COLOURS[0], linewidth=2, label=f"AUC {auc:.4f}"
        )
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set_xlabel("false positive rate")
        axes.set_ylabel(f"true positive rate (class {truncated(positive)})")
        axes.legend(loc="lower right", frameon=False)

    return draw(5.6, 5.6, "ROC curve on the test rows", short_model(model_id), paint)


def _lines(
    axes: Axes, groups: dict[str, list[Sequence[JsonValue]]], feature: Column, answer: str, is_probability: bool
) -> None:
    open_frame(axes)
    for colour, (label, rows) in zip(LINE_COLOURS, groups.items(), strict=False):
        known = [row for row in rows if row[0] is not None]
        places = [datetime.fromisoformat(str(row[0])) if feature.kind == "time" else row[0] for row in known]
        mean, error = (np.array(_floats([row[index] for row in known])) for index in (1, 3))
        low, high = mean - 1.96 * error, mean + 1.96 * error
        if is_probability:
            low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
        axes.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)  # type: ignore[arg-type]
        axes.plot(places, mean, color=colour, linewidth=2, marker="o", markersize=4, label=label)  # type: ignore[arg-type]
    axes.set_xlabel(truncated(feature.name, 60))
    axes.set_ylabel(f"mean {answer}")
    if feature.kind == "time":
        axes.xaxis.set_major_formatter(ConciseDateFormatter(AutoDateLocator()))  # type: ignore[no-untyped-call]
    _finish(axes, groups)


def _dots(axes: Axes, groups: dict[str, list[Sequence[JsonValue]]], feature: Column, answer: str) -> None:
    open_frame(axes)
    names = [truncated(str(row[0])) for row in next(iter(groups.values()))]
    for index, (label, rows) in enumerate(groups.items()):
        shift = 0.0 if len(groups) == 1 else (index / (len(groups) - 1) - 0.5) * 0.5
        mean, error = (np.array(_floats([row[column] for row in rows])) for column in (1, 3))
        axes.errorbar(
            mean,
            np.arange(len(rows)) + shift,
            xerr=1.96 * error,
            fmt="o",
            color=LINE_COLOURS[index % len(LINE_COLOURS)],
            markersize=6,
            elinewidth=1.6,
            label=label,
        )
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(f"mean {answer}")
    axes.set_ylabel(truncated(feature.name, 40))
    _finish(axes, groups)


def _finish(axes: Axes, groups: dict[str, list[Sequence[JsonValue]]]) -> None:
    if len(groups) > 1:
        axes.legend(title="class", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def _floats(values: Sequence[JsonValue]) -> list[float]:
    return [float("nan") if value is None else float(str(value)) for value in values]
