"""What a two-class leader's threshold trades, read from its metrics on the test rows."""

from workers.runtimes.h2o_automl.automl_view import number, table_rows
from workers.runtimes.h2o_automl.client import Json
from workers.runtimes.h2o_automl.tables import Table

# The first ones are those of the ROC curve's table, by which scripts know it.
_POINT_COLUMNS = ("threshold", "fpr", "tpr", "precision", "recall", "f1", "accuracy")
_THRESHOLD_COLUMNS = ("threshold", "precision", "recall", "f1", "accuracy", "specificity", "absolute_mcc")
_COUNT_COLUMNS = ("tns", "fps", "fns", "tps")
_GAINS_COLUMNS = (
    "group",
    "cumulative_data_fraction",
    "lower_threshold",
    "lift",
    "cumulative_lift",
    "response_rate",
    "cumulative_response_rate",
    "capture_rate",
    "cumulative_capture_rate",
    "gain",
    "cumulative_gain",
)


def curve_points(found: Json | None) -> Table | None:
    """The points of the ROC and precision-recall curves (``thresholds_and_metric_scores``)."""
    return _table(
        found,
        _POINT_COLUMNS,
        "ROC and precision-recall points of the leader on the test rows",
        "One row per threshold above which a row is predicted to be of the second class.",
    )


def confusion_by_threshold(found: Json | None) -> Table | None:
    """The confusion matrix and its measures at each threshold."""
    return _table(
        found,
        (*_THRESHOLD_COLUMNS, *_COUNT_COLUMNS),
        "Confusion matrix of the leader on the test rows, by threshold",
        "tns, fps, fns and tps count true and false negatives and positives (weighted if the rows are), the second "
        "class being the positive one; absolute_mcc is the absolute value of Matthews' correlation coefficient.",
    )


def gains_lift(found: Json | None) -> Table | None:
    """H2O's gains/lift table; None where there are too few different predictions for one."""
    return _table(
        found,
        _GAINS_COLUMNS,
        "Gains and lift of the leader on the test rows",
        "Rows are groups of the test rows, those with the highest predicted probability first. A lift of 2 means twice "
        "as many of the second class as in a random group of that size.",
    )


def _table(found: Json | None, columns: tuple[str, ...], title: str, note: str) -> Table | None:
    rows = table_rows(found)
    return Table(title, note, columns, [[number(row[name]) for name in columns] for row in rows]) if rows else None
