"""The sheet that all pictures are drawn on."""

import io
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008), without yellow, which is too pale for lines on white.
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
HEAT_COLOURS = "Blues"
DOTS_PER_INCH = 144


def draw(width: float, height: float, title: str, subtitle: str, paint: Callable[[Axes], None]) -> bytes:
    """A PNG of one plot; sizes in inches. ``paint`` draws into its axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.07)  # type: ignore[union-attr, call-arg]
    figure.suptitle(title, fontsize=13, fontweight="bold")
    axes.set_title(subtitle, fontsize=9.5, color="#555555", pad=7)
    paint(axes)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DOTS_PER_INCH, facecolor="white")
    return content.getvalue()


def open_frame(axes: Axes) -> None:
    """Leave only the two axes that are read, and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#DDDDDD", linewidth=0.7)
    axes.set_axisbelow(True)
