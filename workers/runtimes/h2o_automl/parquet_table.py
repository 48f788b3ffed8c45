"""Reads a Parquet file's schema and target, and refuses what H2O can't read or misreads."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.errors import InvalidInput
from workers.runtimes.h2o_automl.column_facts import TableFacts, TargetFacts, first_text
from workers.runtimes.h2o_automl.csv_table import require_columns, require_names

# H2O 3.46 fails on brotli, and reads lz4 as rows of junk without an error.
READABLE_CODECS = frozenset({"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD"})


def is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def read_parquet(
    path: Path,
    role: str,
    target: str,
    wanted: Sequence[str] | None,
    *,
    find_texts: bool = False,
    classes: frozenset[str] | None = None,
) -> TableFacts:
    """Read the file's schema and what has to be known of its columns. Raises ``InvalidInput`` that names the column."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            require_names(schema.names, role)
            require_columns(schema.names, role, target, wanted)
            _require_readable(file, schema, role)
            varying = _varying(file, [name for name in schema.names if name != target])
            facts = _target_facts(file.read(columns=[target]).column(0), classes)
            texts = _texts(file, schema, target) if find_texts else {}
            return TableFacts(tuple(schema.names), file.metadata.num_rows, None, facts, varying, _row, texts=texts)
    except (pa.ArrowException, OSError) as exc:
        raise InvalidInput(f"The {role} can't be read as Parquet: {str(exc).splitlines()[0]}.") from exc


def _require_readable(file: pq.ParquetFile, schema: pa.Schema, role: str) -> None:
    for field in schema:
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
            raise InvalidInput(
                f"Column {field.name!r} of the {role} holds {field.type}, which is no plain value; drop it."
            )
    for group in range(file.metadata.num_row_groups):
        for index in range(file.metadata.num_columns):
            codec = file.metadata.row_group(group).column(index).compression
            if codec not in READABLE_CODECS:
                raise InvalidInput(
                    f"The {role} is compressed with {codec.lower()}, which H2O can't read; write it with "
                    "snappy, gzip, zstd or none."
                )


def _varying(file: pq.ParquetFile, names: list[str]) -> frozenset[str]:
    varying = set()
    for name in names:
        column = file.read(columns=[name]).column(0)
        if column.null_count not in (0, len(column)) or len(column.unique()) > 1:
            varying.add(name)
    return frozenset(varying)


def _texts(file: pq.ParquetFile, schema: pa.Schema, target: str) -> dict[str, tuple[int, str]]:
    """Row and value of the first text of each column that has any."""
    found = {}
    for field in schema:
        if field.name != target and _is_text_type(field.type):
            column = file.read(columns=[field.name]).column(0).cast(pa.string()).combine_chunks()
            text = first_text(column)
            if text is not None:
                found[field.name] = text
    return found


def _is_text_type(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def _target_facts(column: pa.ChunkedArray, classes: frozenset[str] | None) -> TargetFacts:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        # H2O reads what is no finite number as missing.
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    facts = TargetFacts(known=classes, missing=column.null_count)
    present = column.drop_null()
    found = pc.value_counts(present)
    facts.count(found)
    facts.compare(found, column)
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        facts.numbers = facts.present
        facts.see_range(present.cast(pa.float64()))
    elif facts.present:
        facts.numeric = facts.foreign = False
        row = pc.index(pc.is_valid(column), True).as_py()
        facts.first_text = (row + 1, str(column[row].as_py()))
    return facts


def _row(row: int) -> str:
    return f"row {row}"
