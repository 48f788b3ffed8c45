"""Heatmaps with the numbers in their cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from workers.runtimes.h2o_automl.pictures.canvas import HEAT_COLOURS, draw
from workers.runtimes.h2o_automl.tables import truncated

# Larger than this, the numbers would be too small to read.
MOST_ANNOTATED = 20
MOST_LABELLED = 60


@dataclass(frozen=True)
class Heatmap:
    """``shades`` decide a cell's colour between ``lowest`` and ``highest``; ``texts`` are written into it. Without a
    ``scale_label`` there is no scale beside it."""

    title: str
    subtitle: str
    x_label: str
    y_label: str
    scale_label: str
    x_names: Sequence[str]
    y_names: Sequence[str]
    shades: npt.NDArray[np.float64]
    texts: Sequence[Sequence[str]]
    lowest: float
    highest: float


def draw_heatmap(heatmap: Heatmap) -> bytes:
    """A PNG of the heatmap; NaN cells are grey."""
    rows, columns = heatmap.shades.shape
    longest_x = max(len(truncated(name)) for name in heatmap.x_names)
    longest_y = max(len(truncated(name)) for name in heatmap.y_names)
    cell_height = 0.62 if _has_two_lines(heatmap) else 0.46
    cell_width = 0.62 if rows <= MOST_ANNOTATED and columns <= MOST_ANNOTATED else 0.3
    width = max(2.8, cell_width * columns + 0.6) + 1.9 + 0.085 * longest_y
    height = (
        max(1.0, cell_height * min(rows, MOST_LABELLED))
        + 1.5
        + 0.07 * (longest_x if _is_tilted(heatmap.x_names) else 2)
    )
    return draw(width, height, heatmap.title, heatmap.subtitle, lambda axes: _paint(axes, heatmap))


def _has_two_lines(heatmap: Heatmap) -> bool:
    return any("\n" in text for row in heatmap.texts for text in row)


def _is_tilted(names: Sequence[str]) -> bool:
    return max(map(len, names)) > 5


def _paint(axes: Axes, heatmap: Heatmap) -> None:
    colours = colormaps[HEAT_COLOURS].with_extremes(bad="#CCCCCC")
    scale = Normalize(heatmap.lowest, heatmap.highest)
    image = axes.imshow(heatmap.shades, cmap=colours, norm=scale, aspect="auto")
    rows, columns = heatmap.shades.shape
    _label(axes, heatmap)
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    if rows <= MOST_ANNOTATED and columns <= MOST_ANNOTATED:
        for row, column in np.ndindex(rows, columns):
            dark = scale(heatmap.shades[row, column]) > 0.55
            axes.text(
                column,
                row,
                heatmap.texts[row][column],
                ha="center",
                va="center",
                fontsize=9 if columns > 4 else 11,
                color="white" if dark else "#222222",
            )
    if heatmap.scale_label:
        bar = axes.figure.colorbar(image, ax=axes, pad=0.02)
        bar.set_label(heatmap.scale_label)
        bar.outline.set_visible(False)


def _label(axes: Axes, heatmap: Heatmap) -> None:
    rows, columns = heatmap.shades.shape
    tilt = _is_tilted(heatmap.x_names)
    x_step, y_step = -(-columns // MOST_LABELLED), -(-rows // MOST_LABELLED)
    axes.set_xticks(
        np.arange(0, columns, x_step),
        [truncated(name) for name in heatmap.x_names][::x_step],
        rotation=40 if tilt else 0,
        ha="right" if tilt else "center",
        rotation_mode="anchor" if tilt else "default",
    )
    axes.set_yticks(np.arange(0, rows, y_step), [truncated(name) for name in heatmap.y_names][::y_step])
    axes.set_xlabel(heatmap.x_label, labelpad=8)
    axes.set_ylabel(heatmap.y_label, labelpad=8)
