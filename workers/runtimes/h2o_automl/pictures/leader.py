"""Pictures of one model: what its threshold trades, how it learned, what its features add."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from workers.runtimes.h2o_automl.pictures.canvas import LINE_COLOURS, REFERENCE_LINE, draw, draw_panels, open_frame
from workers.runtimes.h2o_automl.tables import Table, short_model, truncated

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
        best = int(np.nanargmax(_column(table, "f1")))
        threshold = _column(table, "threshold")[best]
        axes.axvline(threshold, label=f"highest f1 ({threshold:.3f})", **REFERENCE_LINE)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        axes.set_xlabel("threshold above which a row is of the second class")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)

    return draw(7.4, 4.6, "What the threshold trades", f"{short_model(model_id)}, on the test rows", paint)


def draw_gains(table: Table, model_id: str) -> bytes:
    """The share of the second class that is found, and the cumulative lift, over the share of rows looked at."""

    def paint(panels: Sequence[Axes]) -> None:
        found, lift = panels
        shares = _column(table, "cumulative_data_fraction")
        for axes in panels:
            open_frame(axes)
            axes.set_xlim(-0.01, 1.01)
            axes.set_xlabel("share of the test rows, most probable ones first")
        captured = np.insert(_column(table, "cumulative_capture_rate"), 0, 0)
        found.plot([0, 1], [0, 1], label="chance", **REFERENCE_LINE)
        found.plot(np.insert(shares, 0, 0), captured, color=LINE_COLOURS[0], linewidth=2, marker="o", markersize=4)
        found.set_ylim(-0.01, 1.02)
        found.set_ylabel("share of the second class found")
        found.legend(loc="lower right", frameon=False)
        lift.axhline(1, label="chance", **REFERENCE_LINE)
        lift.plot(
            shares, _column(table, "cumulative_lift"), color=LINE_COLOURS[0], linewidth=2, marker="o", markersize=4
        )
        lift.set_ylim(bottom=0)
        lift.set_ylabel("cumulative lift (times as many as by chance)")
        lift.legend(loc="lower left", frameon=False)

    return draw_panels(10.4, 4.8, "Gains and lift on the test rows", short_model(model_id), (1, 2), paint)


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
    """Quality over prediction time, the models of the front joined by a line, numbered, and named beside it."""
    metric, time = table.columns[2], table.columns[3]
    front = np.array([bool(row[4]) for row in table.rows])
    times, quality = _column(table, time), _column(table, metric)
    order = np.flatnonzero(front)[np.argsort(times[front], kind="stable")]

    def paint(axes: Axes) -> None:
        open_frame(axes)
        axes.scatter(times[~front], quality[~front], color=_NEUTRAL, s=30, label="beaten in both")
        axes.plot(times[order], quality[order], color=LINE_COLOURS[0], marker="o", label="front")
        for number, index in enumerate(order, 1):
            # Neighbours are often close, so their numbers stand on both sides of the line by turns.
            shift, across, along = ((-4, 4), "right", "bottom") if number % 2 else ((4, -4), "left", "top")
            place = (times[index], quality[index])
            axes.annotate(str(number), place, xytext=shift, textcoords="offset points", fontsize=9, ha=across, va=along)
        for number, index in enumerate(order, 1):
            name = truncated(short_model(str(table.rows[index][0])))
            axes.plot([], [], linestyle="", label=f"{number}  {name}")
        axes.set_xlabel("milliseconds to predict a row")
        axes.set_ylabel(metric.replace("_", " "))
        axes.margins(x=0.08, y=0.12)
        handles, labels = axes.get_legend_handles_labels()
        axes.figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=9)

    return draw(8.6, 4.8, "Quality and prediction time", "of every model of the leaderboard", paint)


def _column(table: Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    index = list(table.columns).index(name)
    return np.array([np.nan if row[index] is None else float(str(row[index])) for row in table.rows])
