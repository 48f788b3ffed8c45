"""Confusion matrix, variable importance and model correlation as heatmaps."""

import numpy as np

from tasks.tabular import ConfusionMatrix
from workers.runtimes.h2o_automl.pictures.heatmap import Heatmap, draw_heatmap
from workers.runtimes.h2o_automl.tables import Table, short_model


def draw_confusion(confusion: ConfusionMatrix, model_id: str) -> bytes:
    """Counts and shares of each actual class; the shade is the share."""
    counts = np.array(confusion.matrix, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = len(confusion.labels) <= 6
    texts = [
        [f"{int(count)}\n{share:.0%}" if few else f"{int(count)}" for count, share in zip(row, of_class, strict=True)]
        for row, of_class in zip(counts, shares, strict=True)
    ]
    return draw_heatmap(
        Heatmap(
            title="Confusion matrix on the test rows",
            subtitle=f"{short_model(model_id)}; colour: share of the actual class",
            x_label="predicted class",
            y_label="actual class",
            # The shares are written into the cells.
            scale_label="" if few else "share of the actual class",
            x_names=confusion.labels,
            y_names=confusion.labels,
            shades=shares,
            texts=texts,
            lowest=0.0,
            highest=1.0,
        )
    )


def draw_importance(table: Table) -> bytes:
    """The table has features as rows and models as columns."""
    shades = _numbers(table)
    return draw_heatmap(
        Heatmap(
            title="Variable importance",
            subtitle="1 is a model's most important feature",
            x_label="model, best first",
            y_label="feature",
            scale_label="importance, scaled within each model",
            x_names=table.columns[1:],
            y_names=[str(row[0]) for row in table.rows],
            shades=shades,
            texts=[[f"{cell:.2f}" for cell in row] for row in shades],
            lowest=0.0,
            highest=1.0,
        )
    )


def draw_agreement(table: Table, *, classification: bool) -> bytes:
    """The table is square, models by models."""
    shades = _numbers(table)
    lowest = float(np.nanmin(shades))
    return draw_heatmap(
        Heatmap(
            title="Model correlation on the test rows",
            subtitle="How alike two models predict",
            x_label="model, best first",
            y_label="model, best first",
            scale_label="share of identical predictions" if classification else "Pearson correlation of predictions",
            x_names=table.columns[1:],
            y_names=[str(row[0]) for row in table.rows],
            shades=shades,
            texts=[["" if np.isnan(cell) else f"{cell:.2f}" for cell in row] for row in shades],
            # From the lowest upwards, as models that learn the same hardly differ at all.
            lowest=min(lowest, 0.9),
            highest=1.0,
        )
    )


def _numbers(table: Table) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([[np.nan if cell is None else cell for cell in row[1:]] for row in table.rows], dtype=np.float64)
