"""The sheet that all pictures are drawn on."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008), without yellow, which is too pale for lines on white.
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
HEAT_COLOURS = "Blues"
SUBTITLE_COLOUR = "#555555"
# What a line would be for chance, or for no error.
REFERENCE_LINE: Mapping[str, Any] = {"color": "#999999", "linewidth": 1.0, "linestyle": "--"}
DOTS_PER_INCH = 144
TITLE_POINTS = 13
POINTS_PER_INCH = 72
# How wide a bold letter is at most on average, as a share of its size: longer titles are written smaller.
BOLD_WIDTH = 0.66


def draw(width: float, height: float, title: str, subtitle: str, paint: Callable[[Axes], None]) -> bytes:
    """A PNG of one plot; sizes in inches. ``paint`` draws into its axes."""
    return draw_panels(width, height, title, subtitle, (1, 1), lambda panels: paint(panels[0]))


def draw_panels(
    width: float,
    height: float,
    title: str,
    subtitle: str,
    shape: tuple[int, int],
    paint: Callable[[Sequence[Axes]], None],
    *,
    same_y: bool = False,
) -> bytes:
    """A PNG of several plots, of ``shape`` rows and columns; ``paint`` gets their axes row by row."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white", layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = list(figure.subplots(*shape, squeeze=False, sharey=same_y).flat)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.07)  # type: ignore[union-attr, call-arg]
    # The second line is left empty for the subtitle, which has another size.
    size = min(TITLE_POINTS, POINTS_PER_INCH / BOLD_WIDTH * width / max(len(title), 1))
    figure.suptitle(f"{title}\n", fontsize=size, fontweight="bold")
    figure.text(0.5, 1 - 0.42 / height, subtitle, ha="center", va="center", fontsize=9.5, color=SUBTITLE_COLOUR)
    paint(panels)
    content = io.BytesIO()
    # ``savefig`` would lay out and draw everything twice.
    canvas.print_png(content)  # type: ignore[no-untyped-call]
    return content.getvalue()


def open_frame(axes: Axes) -> None:
    """Leave only the two axes that are read, few enough numbers on them not to touch, and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(axis="x", nbins=7)
    axes.grid(visible=True, color="#DDDDDD", linewidth=0.7)
    axes.set_axisbelow(True)


def legend_below(axes: Axes) -> None:
    """The legend under everything else, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
