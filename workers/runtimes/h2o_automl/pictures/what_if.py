"""Pictures of what models would predict if a feature were another."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from workers.runtimes.h2o_automl.pictures.canvas import LINE_COLOURS, draw, open_frame
from workers.runtimes.h2o_automl.tables import short_model, truncated
from workers.runtimes.h2o_automl.test_frame import Column
from workers.runtimes.h2o_automl.what_if import Answers

_FAINT = "#9DB4C8"


def draw_ice(answers: Answers, place: int, answer: str) -> bytes:
    """A thin line for each row, and their mean; feature number ``place``."""
    feature = answers.features[place]
    lines = answers.lines(place)

    def paint(axes: Axes) -> None:
        places = _begin(axes, feature, answers.points[place], answer)
        axes.plot(places, lines, color=_FAINT, linewidth=0.8, alpha=0.7)
        axes.plot(places, lines.mean(axis=1), color=LINE_COLOURS[1], linewidth=2.4, label="mean")
        axes.legend(frameon=False)

    title = f"Single rows by {truncated(feature.name, 40)}"
    return draw(7.2, 4.6, title, f"{short_model(answers.models[0])}; a line is a test row", paint)


def draw_models(answers: Answers, place: int, answer: str) -> bytes:
    """One line for each model; feature number ``place``."""
    feature = answers.features[place]
    means = answers.means(place)

    def paint(axes: Axes) -> None:
        places = _begin(axes, feature, answers.points[place], f"mean {answer}")
        for model, mean, colour in zip(answers.models, means, LINE_COLOURS, strict=False):
            axes.plot(places, mean, color=colour, linewidth=2, marker="o", markersize=4, label=short_model(model))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=9)

    title = f"Partial dependence on {truncated(feature.name, 40)} across models"
    return draw(7.2, 5.4, title, "the best models of the leaderboard", paint)


def _begin(axes: Axes, feature: Column, points: Sequence[str], answer: str) -> Any:
    """Draw the axes; answers where the points stand on the horizontal one."""
    open_frame(axes)
    axes.set_ylabel(answer)
    if feature.levels:
        places = np.arange(len(points))
        tilted = max(map(len, points)) > 5
        axes.set_xticks(places, [truncated(point, 20) for point in points], rotation=40 if tilted else 0)
        axes.set_xlabel(truncated(feature.name, 60))
        return places
    axes.set_xlabel(truncated(feature.name, 60))
    if feature.kind == "time":
        axes.xaxis.set_major_formatter(ConciseDateFormatter(AutoDateLocator()))  # type: ignore[no-untyped-call]
        return [datetime.fromtimestamp(float(value) / 1000, UTC) for value in points]
    return np.array([float(value) for value in points])
