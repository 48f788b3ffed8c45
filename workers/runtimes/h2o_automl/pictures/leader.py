"""Pictures of one model: what its threshold trades, how it learned, what its features add."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from pydantic import JsonValue

from workers.runtimes.h2o_automl.pictures.canvas import LINE_COLOURS, draw, open_frame
from workers.runtimes.h2o_automl.tables import Table, short_model, truncated

# Blue for low values and orange for high ones, dark enough in between to be seen on white.
_SHAP_COLOURS = LinearSegmentedColormap.from_list("shap", ["#0072B2", "#7B5AA6", "#D55E00"])
_NEUTRAL = "#777777"


def draw_precision_recall(points: Table, area: float, model_id: str, positive: str) -> bytes:
    """The table has one row per threshold, with columns ``precision`` and ``recall``."""

    def paint(axes: Axes) -> None:
        open_frame(axes)
        axes.plot(
            _column(points, "recall"),
            _column(points, "precision"),
            color=LINE_COLOURS[0],
            linewidth=2,
            label=f"area {area:.4f}",
        )
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
        axes.set_xlabel(f"recall (class {truncated(positive)})")
        axes.set_ylabel("precision")
        axes.legend(loc="lower left", frameon=False)

    return draw(5.6, 5.6, "Precision and recall on the test rows", short_model(model_id), paint)


def draw_thresholds(table: Table, model_id: str) -> bytes:
    """One line for each measure over the threshold."""

    def paint(axes: Axes) -> None:
        open_frame(axes)
        for colour, name in zip(LINE_COLOURS, ("precision", "recall", "f1", "accuracy", "absolute_mcc"), strict=False):
            label = name.replace("_", " ")
            axes.plot(_column(table, "threshold"), _column(table, name), color=colour, linewidth=1.8, label=label)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        axes.set_xlabel("threshold above which a row is of the second class")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)

    return draw(7.4, 4.6, "What the threshold trades", short_model(model_id), paint)


def draw_gains(table: Table, model_id: str) -> bytes:
    """Cumulative lift, and the share of the second class that is found, over the share of rows looked at."""

    def paint(axes: Axes) -> None:
        open_frame(axes)
        shares = np.insert(_column(table, "cumulative_data_fraction"), 0, 0)
        captured = np.insert(_column(table, "cumulative_capture_rate"), 0, 0)
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--", label="chance")
        axes.plot(shares, captured, color=LINE_COLOURS[0], linewidth=2, marker="o", markersize=4, label="found")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        axes.set_xlabel("share of the test rows, most probable ones first")
        axes.set_ylabel("share of the second class found")
        lift = axes.twinx()
        lift.plot(shares[1:], _column(table, "cumulative_lift"), color=LINE_COLOURS[1], linewidth=2, label="lift")
        lift.set_ylim(bottom=0)
        lift.set_ylabel("cumulative lift")
        lift.spines[["top"]].set_visible(False)
        handles = zip(axes.get_legend_handles_labels(), lift.get_legend_handles_labels(), strict=True)
        lines, labels = (ours + theirs for ours, theirs in handles)
        axes.legend(lines, labels, loc="lower right", frameon=False)

    return draw(6.8, 4.8, "Gains and lift on the test rows", short_model(model_id), paint)


def draw_learning(table: Table, model_id: str) -> bytes:
    """The first column is the step, the others are errors."""

    def paint(axes: Axes) -> None:
        open_frame(axes)
        for colour, name in zip(LINE_COLOURS, table.columns[1:], strict=False):
            label = name.split("_", 1)[0]
            axes.plot(_column(table, table.columns[0]), _column(table, name), color=colour, linewidth=2, label=label)
        axes.set_xlabel(table.columns[0].replace("_", " "))
        axes.set_ylabel(table.columns[1].split("_", 1)[1].replace("_", " "))
        axes.legend(frameon=False)

    return draw(6.8, 4.6, "Learning curve", short_model(model_id), paint)


def draw_pareto(table: Table) -> bytes:
    """Quality over prediction time, the models of the front joined by a line."""
    metric, time = table.columns[2], table.columns[3]

    def paint(axes: Axes) -> None:
        open_frame(axes)
        front = np.array([bool(row[4]) for row in table.rows])
        times, quality = _column(table, time), _column(table, metric)
        axes.scatter(times[~front], quality[~front], color=_NEUTRAL, s=30, label="beaten in both")
        order = np.argsort(times[front])
        axes.plot(times[front][order], quality[front][order], color=LINE_COLOURS[0], marker="o", label="front")
        named = [short_model(str(row[0])) for row in table.rows if row[4]]
        for place, index in enumerate(order):
            # Neighbours are often close, so their names stand above and below the line by turns.
            shift, side = ((0, 7), "bottom") if place % 2 else ((0, -8), "top")
            axes.annotate(
                truncated(named[index], 24),
                (times[front][index], quality[front][index]),
                xytext=shift,
                textcoords="offset points",
                fontsize=8,
                ha="center",
                va=side,
            )
        axes.set_xlabel("milliseconds to predict a row")
        axes.set_ylabel(metric.replace("_", " "))
        axes.margins(x=0.25, y=0.15)
        axes.legend(frameon=False)

    return draw(7.2, 4.8, "Quality and prediction time", "of every model of the leaderboard", paint)


def draw_contributions(table: Table, model_id: str) -> bytes:
    """One line of dots for each feature; colour is the value's place among the feature's numbers, grey for others."""
    groups: dict[str, list[tuple[JsonValue, float]]] = {}
    for feature, value, contribution in table.rows:
        groups.setdefault(str(feature), []).append((value, float(str(contribution or 0))))

    def paint(axes: Axes) -> None:
        open_frame(axes)
        spread = np.random.default_rng(1)
        for place, rows in enumerate(groups.values()):
            x = np.array([contribution for _value, contribution in rows])
            y = place + spread.uniform(-0.28, 0.28, len(x))
            ranks = _ranks([value for value, _contribution in rows])
            if ranks is None:
                axes.scatter(x, y, s=9, color=_NEUTRAL, alpha=0.7, linewidths=0)
            else:
                axes.scatter(x, y, s=9, c=ranks, cmap=_SHAP_COLOURS, norm=Normalize(0, 1), alpha=0.8, linewidths=0)
        axes.axvline(0, color="#999999", linewidth=1)
        axes.set_yticks(np.arange(len(groups)), [truncated(name) for name in groups])
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlabel("contribution to the prediction (orange: high values, blue: low ones)")

    return draw(7.4, 1.7 + 0.42 * max(len(groups), 2), "SHAP summary", short_model(model_id), paint)


def _ranks(values: list[JsonValue]) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """The place of each number among them, 0 to 1; None for texts."""
    try:
        numbers = np.array([np.nan if value is None else float(str(value)) for value in values])
    except ValueError:
        return None
    order = np.argsort(np.argsort(numbers))
    return np.where(np.isnan(numbers), 0.5, order / max(len(numbers) - 1, 1))


def _column(table: Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    index = list(table.columns).index(name)
    return np.array([np.nan if row[index] is None else float(str(row[index])) for row in table.rows])
