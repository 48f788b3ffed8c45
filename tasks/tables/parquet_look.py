"""What the columns of a Parquet file look like."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.errors import InvalidInput
from tasks.tables.csv_table import require_names
from tasks.tables.parquet_table import is_text, require_readable
from tasks.tables.schema import MOST_COLUMNS, TableColumn
from tasks.tables.type_guess import TypeGuess
from tasks.tabular import ColumnType

# H2O guesses what texts are from so many rows.
_LOOK_ROWS = 1000
_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 60


def look_at_parquet(path: Path, role: str, found: dict[str, Any]) -> None:
    """Note one after the other what is found, as far as that goes. Raises ``InvalidInput``."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            found |= {"rows": file.metadata.num_rows, "column_count": len(schema)}
            require_names(schema.names, role)
            require_readable(file, schema, role)
            names = schema.names[:MOST_COLUMNS]
            first = next(file.iter_batches(_LOOK_ROWS, columns=names), None)
            if first is not None:
                found["columns"] = [_column(file, name, first.column(name)) for name in names]
    except (pa.ArrowException, OSError) as exc:
        raise InvalidInput(f"The {role} can't be read as Parquet; it is damaged or incomplete.") from exc


def _column(file: pq.ParquetFile, name: str, values: pa.Array) -> TableColumn:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    examples = values.drop_null().unique().slice(0, _EXAMPLES).to_pylist()
    return TableColumn(
        name=name,
        type=_type(values),
        missing_share=_missing_share(file, name, values),
        examples=[str(value)[:_EXAMPLE_CHARACTERS] for value in examples],
    )


def _type(values: pa.Array) -> ColumnType:
    kind = values.type
    if is_text(kind):
        guess = TypeGuess()
        guess.see(pc.cast(values, pa.string()), numbers=False)
        return guess.type if guess.empty < guess.lines else "string"
    if pa.types.is_boolean(kind):
        return "enum"
    return "time" if pa.types.is_timestamp(kind) or pa.types.is_date(kind) else "numeric"


def _missing_share(file: pq.ParquetFile, name: str, values: pa.Array) -> float:
    """As the file itself says, or else of the rows looked at."""
    index = file.schema_arrow.names.index(name)
    missing = 0
    for group in range(file.metadata.num_row_groups):
        column = file.metadata.row_group(group).column(index)
        if not column.is_stats_set or column.statistics.null_count is None:
            return round(int(values.null_count) / max(1, len(values)), 4)
        missing += int(column.statistics.null_count)
    return round(missing / max(1, int(file.metadata.num_rows)), 4)
