"""Pictures of where a regression's leader is wrong."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from pydantic import JsonValue

from workers.runtimes.h2o_automl.pictures.canvas import (
    LINE_COLOURS,
    REFERENCE_LINE,
    SUBTITLE_COLOUR,
    draw_panels,
    legend_below,
    open_frame,
)
from workers.runtimes.h2o_automl.tables import Table, short_model, truncated

MOST_DRAWN_POINTS = 3000
MOST_PANELS = 6
# Of fewer rows, a running median and band would show chance.
FEWEST_ROWS_FOR_BAND = 30

Numbers = npt.NDArray[np.float64]


def draw_residuals(table: Table, model_id: str, target: str) -> bytes:
    """Predicted against actual values, and residuals against predicted ones, with their median and the middle 80 % of
    them; of very many rows an even selection is drawn."""
    actual, predicted, residual = np.array(table.rows, dtype=np.float64).T
    step = -(-len(actual) // MOST_DRAWN_POINTS)

    def paint(panels: Sequence[Axes]) -> None:
        left, right = panels
        for axes in panels:
            open_frame(axes)
        ends = [min(actual.min(), predicted.min()), max(actual.max(), predicted.max())]
        left.plot(ends, ends, label="perfect prediction", **REFERENCE_LINE)
        _scatter(left, actual[::step], predicted[::step])
        left.set_xlabel(f"actual {truncated(target)}")
        left.set_ylabel(f"predicted {truncated(target)}")
        left.legend(loc="upper left", frameon=False)
        right.axhline(0, **REFERENCE_LINE)
        _scatter(right, predicted[::step], residual[::step])
        if len(residual) >= FEWEST_ROWS_FOR_BAND:
            _band(right, predicted, residual)
            legend_below(right)
        right.set_xlabel(f"predicted {truncated(target)}")
        right.set_ylabel("residual (actual - predicted)")

    return draw_panels(11.0, 5.6, "Residuals on the test rows", short_model(model_id), (1, 2), paint)


def draw_distribution(table: Table, residual: Numbers, model_id: str) -> bytes:
    """How often residuals of each size are, beside a normal distribution; and quantile against quantile."""
    quantile, normal = (np.array([row[place] for row in table.rows], dtype=np.float64) for place in (1, 2))
    mean, deviation = residual.mean(), residual.std()

    def paint(panels: Sequence[Axes]) -> None:
        left, right = panels
        for axes in panels:
            open_frame(axes)
        left.hist(residual, bins=_bins(residual), density=True, color=LINE_COLOURS[0], alpha=0.55)
        if deviation > 0:
            places = np.linspace(mean - 4 * deviation, mean + 4 * deviation, 200)
            density = np.exp(-0.5 * ((places - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
            left.plot(places, density, color=LINE_COLOURS[1], linewidth=1.8, label="normal distribution")
            left.legend(loc="upper left", frameon=False, fontsize=9)
        left.axvline(0, **REFERENCE_LINE)
        left.set_xlabel("residual (actual - predicted)")
        left.set_ylabel("density")
        left.margins(y=0.15)
        ends = [min(normal.min(), quantile.min()), max(normal.max(), quantile.max())]
        right.plot(ends, ends, label="as a normal distribution", **REFERENCE_LINE)
        right.plot(normal, quantile, color=LINE_COLOURS[0], marker="o", markersize=3, linewidth=0)
        right.set_xlabel("quantile of a normal distribution")
        right.set_ylabel("quantile of the residuals")
        right.legend(loc="upper left", frameon=False, fontsize=9)

    return draw_panels(11.0, 4.8, "Distribution of the residuals", short_model(model_id), (1, 2), paint)


def draw_groups(table: Table, model_id: str) -> bytes:
    """A panel for what is predicted and for each of the features with the largest differences: a box for each group."""
    panels: dict[str, list[Sequence[JsonValue]]] = {}
    for row in table.rows:
        panels.setdefault(str(row[0]), []).append(row[1:])
    shown = list(panels.items())[:MOST_PANELS]
    columns = min(len(shown), 2)
    lines = -(-len(shown) // columns)
    height = 1.2 + lines * (0.95 + 0.27 * max(len(groups) for _name, groups in shown))

    def paint(axes: Sequence[Axes]) -> None:
        for one, (name, groups) in zip(axes, shown, strict=False):
            _boxes(one, name, groups)
        for unused in axes[len(shown) :]:
            unused.set_visible(False)

    subtitle = (
        f"{short_model(model_id)}; boxes are the middle half of the rows, lines the middle 80 %; in brackets: rows"
    )
    return draw_panels(11.0 if columns == 2 else 6.4, height, "Residuals by feature", subtitle, (lines, columns), paint)


def _scatter(axes: Axes, x: Numbers, y: Numbers) -> None:
    axes.scatter(x, y, s=16, color=LINE_COLOURS[0], alpha=0.5, linewidths=0)


def _band(axes: Axes, predicted: Numbers, residual: Numbers) -> None:
    """Median and middle 80 % of the residuals in up to ten groups of rows with similar predictions."""
    groups = np.array_split(np.argsort(predicted), min(10, len(residual) // 10))
    places = [float(predicted[rows].mean()) for rows in groups]
    low, middle, high = np.array([np.quantile(residual[rows], (0.1, 0.5, 0.9)) for rows in groups]).T
    axes.fill_between(places, low, high, color=LINE_COLOURS[1], alpha=0.15, linewidth=0, label="middle 80 %")
    axes.plot(places, middle, color=LINE_COLOURS[1], linewidth=2, label="median")


def _bins(residual: Numbers) -> int:
    """As Freedman and Diaconis propose, within what can be read."""
    low, high = np.quantile(residual, (0.25, 0.75))
    width = 2 * (high - low) / len(residual) ** (1 / 3)
    return int(np.clip(np.ptp(residual) / width, 10, 60)) if width > 0 else 10


def _boxes(axes: Axes, name: str, groups: Sequence[Sequence[JsonValue]]) -> None:
    open_frame(axes)
    axes.axvline(0, **REFERENCE_LINE)
    names = [truncated(str(row[0]), 24) for row in groups]
    boxes = [
        {"whislo": row[4], "q1": row[5], "med": row[6], "q3": row[7], "whishi": row[8], "fliers": []} for row in groups
    ]
    axes.bxp(
        boxes,
        positions=range(len(groups)),
        orientation="horizontal",
        widths=0.6,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": "#CFE0EE", "edgecolor": LINE_COLOURS[0]},
        medianprops={"color": LINE_COLOURS[1], "linewidth": 2},
        whiskerprops={"color": LINE_COLOURS[0]},
        capprops={"color": LINE_COLOURS[0]},
    )
    labels = [f"{name} ({row[1]})" for name, row in zip(names, groups, strict=True)]
    axes.set_yticks(range(len(groups)), labels, fontsize=9)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.set_title(truncated(name, 44), fontsize=10.5, color=SUBTITLE_COLOUR)
    axes.set_xlabel("residual", fontsize=9)
