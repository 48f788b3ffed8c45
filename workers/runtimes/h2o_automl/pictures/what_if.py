"""Pictures of what models would predict if a feature were another."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from workers.runtimes.h2o_automl.pictures.canvas import LINE_COLOURS, draw, legend_below, open_frame
from workers.runtimes.h2o_automl.tables import short_model, short_models, truncated
from workers.runtimes.h2o_automl.test_frame import Column
from workers.runtimes.h2o_automl.what_if import Answers

_FAINT = "#9DB4C8"


def draw_ice(answers: Answers, place: int, answer: str) -> bytes:
    """A thin line or dot for each row, and their mean; feature number ``place``."""
    feature, points, lines = answers.features[place], answers.points[place], answers.lines(place)

    def paint(axes: Axes) -> None:
        if feature.levels:
            _name_levels(axes, points, answer)
            # Beside each other, or rows with the same prediction would be one dot.
            shifts = np.linspace(-0.26, 0.26, lines.shape[1])
            for level, found in enumerate(lines):
                axes.scatter(found, level + shifts, s=12, color=_FAINT, linewidths=0)
            means = lines.mean(axis=1)
            axes.scatter(means, range(len(points)), marker="|", s=320, linewidths=2.6, color=LINE_COLOURS[1])
        else:
            places = _name_numbers(axes, feature, points, answer)
            axes.plot(places, lines, color=_FAINT, linewidth=0.8, alpha=0.7)
            axes.plot(places, lines.mean(axis=1), color=LINE_COLOURS[1], linewidth=2.4)

    title = f"Single rows by {truncated(feature.name, 40)}"
    marks = "dot" if feature.levels else "line"
    subtitle = f"{short_model(answers.models[0])}; each {marks} is a test row, orange is their mean"
    return draw(7.2, _height(feature, points), title, subtitle, paint)


def draw_models(answers: Answers, place: int, answer: str) -> bytes:
    """One line, or one dot for each level, for each model; feature number ``place``."""
    feature, points, means = answers.features[place], answers.points[place], answers.means(place)

    def paint(axes: Axes) -> None:
        if feature.levels:
            _name_levels(axes, points, f"mean {answer}")
        else:
            places = _name_numbers(axes, feature, points, f"mean {answer}")
        named = zip(short_models(answers.models), means, LINE_COLOURS, strict=False)
        for number, (model, mean, colour) in enumerate(named):
            if feature.levels:
                shift = (number - (len(means) - 1) / 2) * 0.14
                axes.scatter(mean, np.arange(len(points)) + shift, s=26, color=colour, label=model)
            else:
                axes.plot(places, mean, color=colour, linewidth=2, marker="o", markersize=4, label=model)
        legend_below(axes)

    title = f"Partial dependence on {truncated(feature.name, 40)} across models"
    return draw(7.2, _height(feature, points) + 0.8, title, "the best models of the leaderboard", paint)


def _height(feature: Column, points: Sequence[str]) -> float:
    return 1.5 + max(1.2, 0.34 * len(points)) if feature.levels else 4.6


def _name_levels(axes: Axes, points: Sequence[str], answer: str) -> None:
    open_frame(axes)
    axes.set_yticks(range(len(points)), [truncated(point) for point in points])
    axes.set_ylim(len(points) - 0.5, -0.5)
    axes.set_xlabel(truncated(answer, 70))


def _name_numbers(axes: Axes, feature: Column, points: Sequence[str], answer: str) -> Any:
    """Answers where the points stand on the horizontal axis."""
    open_frame(axes)
    axes.set_xlabel(truncated(feature.name, 60))
    axes.set_ylabel(truncated(answer, 50))
    if feature.kind == "time":
        axes.xaxis.set_major_formatter(ConciseDateFormatter(AutoDateLocator()))  # type: ignore[no-untyped-call]
        return [datetime.fromtimestamp(float(value) / 1000, UTC) for value in points]
    return np.array([float(value) for value in points])
