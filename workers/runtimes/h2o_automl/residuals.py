"""Where a regression's leader is wrong."""

from pathlib import Path

from workers.runtimes.h2o_automl.automl_view import number
from workers.runtimes.h2o_automl.tables import Table
from workers.runtimes.h2o_automl.test_frame import TestFrame


def residuals(frame: TestFrame, model_id: str, target: str, scratch: Path) -> Table:
    """Actual and predicted value of each test row (or of a sample of them), and their difference."""
    actual = [number(value) for value in frame.values(target, scratch)]
    predicted = [number(value) for value in frame.predictions(model_id, scratch)]
    pairs = [(a, p) for a, p in zip(actual, predicted, strict=True) if a is not None and p is not None]
    return Table(
        "Residuals of the leader on the test rows",
        "residual = actual - predicted.",
        ["actual", "predicted", "residual"],
        [[a, p, a - p] for a, p in pairs],
    )
