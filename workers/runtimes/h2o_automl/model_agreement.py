"""How alike the models of the leaderboard predict."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.contracts import LeaderboardEntry
from workers.runtimes.h2o_automl.tables import Table, short_models
from workers.runtimes.h2o_automl.test_frame import TestFrame

MOST_MODELS = 20


def model_agreement(
    frame: TestFrame, entries: Sequence[LeaderboardEntry], scratch: Path, *, classification: bool
) -> Table | None:
    """Model correlation as ``h2o.explanation.model_correlation`` defines it; None if there is but one model.

    For classes it is the share of rows that two models give the same label, for numbers Pearson's coefficient.
    """
    shown = entries[:MOST_MODELS]
    if len(shown) < 2:
        return None
    predictions = frame.predictions([entry.model_id for entry in shown], scratch)
    matrix = same_label_share(predictions) if classification else pearson(predictions)
    names = short_models([entry.model_id for entry in shown])
    meaning = (
        "Share of test rows with the same predicted label" if classification else "Pearson correlation of predictions"
    )
    return Table(
        "Model correlation",
        f"{meaning}, over {frame.sampled_rows} test rows.",
        ["model", *names],
        [
            [name, *(None if np.isnan(cell) else float(cell) for cell in row)]
            for name, row in zip(names, matrix, strict=True)
        ],
    )


def same_label_share(predictions: Sequence[Sequence[str]]) -> npt.NDArray[np.float64]:
    """``predictions`` has a list of labels per model; the answer is square and has ones on its diagonal."""
    labels = [np.array(found, dtype=object) for found in predictions]
    return np.array([[float(np.mean(one == other)) for other in labels] for one in labels])


def pearson(predictions: Sequence[Sequence[str]]) -> npt.NDArray[np.float64]:
    """NaN where a model predicts the same number everywhere."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(np.array([[float(value) for value in found] for found in predictions]))
