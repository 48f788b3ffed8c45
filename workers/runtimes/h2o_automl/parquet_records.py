"""The explanation's tables as Parquet, in long form: one file for each kind of part, whatever the features' names.

The JSON of a part is laid out as its picture shows it; these files have the same columns for every training, so that
they can be read, filtered and put together without a look at each.
"""

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from workers.runtimes.h2o_automl.automl_view import number
from workers.runtimes.h2o_automl.tables import Table

PARQUET_TYPE = "application/vnd.apache.parquet"
# What the rows, the columns and the cells of a table are that is a matrix; what is said of a row before them stays.
_MATRICES: dict[str, tuple[str, ...]] = {
    "confusion_matrix": ("actual", "predicted", "rows"),
    "variable_importance": ("feature", "model", "importance"),
    "model_correlation": ("model", "other_model", "correlation"),
    "partial_dependence_models": ("value", "model", "mean_response"),
    "principal_components": ("column", "component", "weight"),
    "clusters": ("cluster", "rows", "within_cluster_sum_of_squares", "feature", "value"),
}
# Where the tables about one feature have its values, under its name.
_VALUES_AT = {"partial_dependence": 1, "ice": 1}
# Columns that hold texts even where all of them are missing.
_TEXTS = frozenset({"class", "feature", "value"})


def records_artifact(role: str) -> str:
    return f"tables.{role}.parquet"


def records(role: str, parts: Sequence[tuple[str, Table]]) -> bytes:
    """The tables of one role as one Parquet file; with each comes the feature that it is about, or nothing."""
    forms = [_long_form(role, feature, table) for feature, table in parts]
    first = parts[0][1]
    rows = [row for form in forms for row in form.rows]
    # A table about one feature has a title and a note of its own.
    title, note = ("", "") if parts[0][0] else (first.title, first.note)
    return parquet(Table(title, note, forms[0].columns, rows))


def parquet(table: Table) -> bytes:
    """The table with a column type for each column: whole numbers, numbers, yes or no, or texts. Its title and note
    are in the file's metadata."""
    columns = {name: _column(name, [row[place] for row in table.rows]) for place, name in enumerate(table.columns)}
    said = {key: text for key, text in (("title", table.title), ("note", table.note)) if text}
    content = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(said), content, compression="zstd")
    return content.getvalue()


def _long_form(role: str, feature: str, table: Table) -> Table:
    if role in _MATRICES:
        table = _melted(table, _MATRICES[role])
    columns, rows = list(table.columns), table.rows
    if role in _VALUES_AT:
        columns[_VALUES_AT[role]] = "value"
    if "value" in columns:
        place = columns.index("value")
        columns = [*columns[: place + 1], "value_number", *columns[place + 1 :]]
        rows = [[*row[:place], *_both(row[place]), *row[place + 1 :]] for row in rows]
    if feature:
        columns, rows = ["feature", *columns], [[feature, *row] for row in rows]
    return Table(table.title, table.note, columns, rows)


def _melted(table: Table, names: Sequence[str]) -> Table:
    """A row for each cell of a matrix; all ``names`` but the last two are those of the columns that say its rows."""
    first = len(names) - 2
    rows: list[list[JsonValue]] = [
        [*row[:first], column, cell]
        for row in table.rows
        for column, cell in zip(table.columns[first:], row[first:], strict=True)
    ]
    return Table(table.title, table.note, names, rows)


def _both(value: JsonValue) -> tuple[str | None, float | None]:
    """A feature's value as text, and as a number if it can be read as one: features of all kinds share a column."""
    return (None, None) if value is None else (str(value), number(value))


def _column(name: str, values: Sequence[JsonValue]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if name in _TEXTS or not kinds <= {int, float, bool}:
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    return pa.array(values, pa.int64() if kinds == {int} else pa.float64())
