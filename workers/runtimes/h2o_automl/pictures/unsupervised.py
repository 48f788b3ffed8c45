"""Clusters, principal components, and anomaly scores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from workers.runtimes.h2o_automl.pictures.canvas import LINE_COLOURS, draw, open_frame
from workers.runtimes.h2o_automl.pictures.heatmap import Heatmap, draw_heatmap
from workers.runtimes.h2o_automl.tables import Table, short_model


def draw_standing(
    clusters: Table, centres: Sequence[Mapping[str, Any]], features: Sequence[str], model_id: str, *, standardised: bool
) -> bytes:
    """Where each cluster lies in each feature. Of a category H2O tells the level, which has no place."""
    shades = np.array([[_number(row[name]) for row in centres] for name in features])
    return _signed(
        Heatmap(
            title="Centres of the clusters",
            subtitle=f"{short_model(model_id)}; where each lies in each feature",
            x_label="cluster: its test rows",
            y_label="feature",
            scale_label="standard deviations" if standardised else "value",
            x_names=[f"{row[0]}: {row[1]}" for row in clusters.rows],
            y_names=features,
            shades=shades,
            texts=[[_text(row[name]) for row in centres] for name in features],
            lowest=0,
            highest=0,
        )
    )


def draw_components(weights: Sequence[Mapping[str, Any]], names: Sequence[str], model_id: str) -> bytes:
    """How much of each column is in each component."""
    shades = np.array([[_number(row[name]) for name in names] for row in weights])
    return _signed(
        Heatmap(
            title="Principal components",
            subtitle=f"{short_model(model_id)}; how much of each column is in each",
            x_label="component",
            y_label="column",
            scale_label="weight",
            x_names=names,
            y_names=[str(row[""]) for row in weights],
            shades=shades,
            texts=[[_text(row[name]) for name in names] for row in weights],
            lowest=0,
            highest=0,
        )
    )


def draw_scores(table: Table, model_id: str) -> bytes:
    """How many rows have which score."""
    low, high, rows = (np.array([row[place] for row in table.rows], dtype=np.float64) for place in range(3))

    def paint(axes: Axes) -> None:
        open_frame(axes)
        axes.bar(low, rows, width=high - low, align="edge", color=LINE_COLOURS[0])
        axes.set_xlabel("anomaly score")
        axes.set_ylabel("test rows")

    return draw(6.4, 4.2, table.title, short_model(model_id), paint)


def _signed(heatmap: Heatmap) -> bytes:
    """The scale goes as far down as up."""
    known = heatmap.shades[np.isfinite(heatmap.shades)]
    most = float(np.abs(known).max()) if known.size and np.abs(known).max() > 0 else 1.0
    return draw_heatmap(replace(heatmap, lowest=-most, highest=most))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else str(value)[:12]
