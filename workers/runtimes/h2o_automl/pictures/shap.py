"""Pictures of what features add to single predictions."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from pydantic import JsonValue

from workers.runtimes.h2o_automl.pictures.canvas import SUBTITLE_COLOUR, draw_panels, open_frame
from workers.runtimes.h2o_automl.tables import Table, short_model, truncated

MOST_PANELS = 6
# Blue for low values and orange for high ones, dark enough in between to be seen on white.
_COLOURS = LinearSegmentedColormap.from_list("shap", ["#0072B2", "#7B5AA6", "#D55E00"])
_NEUTRAL = "#777777"
# Half the height of a feature's line of dots, and how many dots stand above each other in it.
_HALF_LINE = 0.38
_BINS = 80

Dots = list[tuple[JsonValue, float]]


def draw_contributions(table: Table, model_id: str) -> bytes:
    """One line of dots for each feature, wider where there are more of them, and a panel for each class if the table
    has any; colour is the value's place among the feature's numbers, grey for categories."""
    panels: dict[str, dict[str, Dots]] = {}
    for feature, value, contribution, *label in table.rows:
        dots = panels.setdefault(str(label[0]) if label else "", {}).setdefault(str(feature), [])
        dots.append((value, float(str(contribution or 0))))
    shown = list(panels.items())[:MOST_PANELS]
    columns = min(len(shown), 3)
    lines = -(-len(shown) // columns)
    features = max(len(groups) for _label, groups in shown)
    width = 7.8 if columns == 1 else 3.2 + 2.9 * columns
    height = 1.1 + lines * (0.85 + 0.36 * max(features, 3))

    def paint(axes: Sequence[Axes]) -> None:
        for one, (label, groups) in zip(axes, shown, strict=False):
            _lines_of_dots(one, groups)
            if label:
                one.set_title(truncated(label, 30), fontsize=10.5, color=SUBTITLE_COLOUR)
        for unused in axes[len(shown) :]:
            unused.set_visible(False)
        _scale(axes)

    subtitle = f"{short_model(model_id)}; each dot is a test row, grey: categories"
    return draw_panels(width, height, "SHAP summary", subtitle, (lines, columns), paint, same_y=True)


def _lines_of_dots(axes: Axes, groups: dict[str, Dots]) -> None:
    open_frame(axes)
    axes.axvline(0, color="#999999", linewidth=1)
    for place, dots in enumerate(groups.values()):
        x = np.array([contribution for _value, contribution in dots])
        y = place + _swarm(x)
        ranks = _ranks([value for value, _contribution in dots])
        if ranks is None:
            axes.scatter(x, y, s=10, color=_NEUTRAL, alpha=0.75, linewidths=0)
        else:
            axes.scatter(x, y, s=10, c=ranks, cmap=_COLOURS, norm=Normalize(0, 1), alpha=0.85, linewidths=0)
    axes.set_yticks(np.arange(len(groups)), [truncated(name) for name in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlabel("contribution to the prediction")


def _scale(axes: Sequence[Axes]) -> None:
    figure = axes[0].figure
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), _COLOURS), ax=list(axes), pad=0.02, aspect=30)
    bar.set_ticks([0, 1], labels=["low", "high"])
    bar.set_label("feature's value", labelpad=-6)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)


def _swarm(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Where each dot stands above or below its line: those with about the same x side by side, the most of them fill
    the line's height."""
    span = float(np.ptp(x))
    bins = ((x - x.min()) / (span or 1.0) * (_BINS - 1)).astype(np.int64)
    order = np.argsort(bins, kind="stable")
    starts = np.searchsorted(bins[order], bins[order], side="left")
    ranks = np.empty(len(x))
    # 0, 1, -1, 2, -2, … within each bin.
    within = np.arange(len(x)) - starts
    ranks[order] = (within + 1) // 2 * np.where(within % 2, 1, -1)
    return np.asarray(_HALF_LINE * ranks / max(6.0, float(np.abs(ranks).max(initial=0))), dtype=np.float64)


def _ranks(values: list[JsonValue]) -> npt.NDArray[np.float64] | None:
    """The place of each number among them, 0 to 1, the same for the same ones; None for texts."""
    try:
        numbers = np.array([np.nan if value is None else float(str(value)) for value in values])
    except ValueError:
        return None
    known = ~np.isnan(numbers)
    distinct, places = np.unique(numbers[known], return_inverse=True)
    ranks = np.full(len(numbers), 0.5)
    if len(distinct) > 1:
        ranks[known] = places / (len(distinct) - 1)
    return ranks
