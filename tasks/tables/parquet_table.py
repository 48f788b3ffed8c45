"""Reads a Parquet file's schema and target, and refuses what H2O can't read or misreads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.errors import InvalidInput
from tasks.tables.column_facts import TableFacts, TargetFacts, first_text
from tasks.tables.csv_table import require_columns, require_names
from tasks.tabular import ColumnType

_FIRST_LOOK_ROWS = 1000
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
# H2O 3.46 fails on brotli, and reads lz4 as rows of junk without an error.
READABLE_CODECS = frozenset({"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD"})


def read_parquet(
    path: Path,
    role: str,
    target: str | None,
    wanted: Sequence[str] | None,
    *,
    classes: frozenset[str] | None = None,
) -> TableFacts:
    """Read the file's schema and what has to be known of its columns. Raises ``InvalidInput`` that names the column."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            require_names(schema.names, role)
            require_columns(schema.names, role, target, wanted)
            require_readable(file, schema, role)
            _require_signed(file, schema, role)
            varying = _varying(file, [name for name in schema.names if name != target])
            facts = TargetFacts() if target is None else _target_facts(file.read(columns=[target]).column(0), classes)
            return TableFacts(
                tuple(schema.names),
                file.metadata.num_rows,
                None,
                facts,
                varying,
                _row,
                texts=_texts(file, schema, target),
                unnamed_index=_unnamed_index(schema),
                fine_times=any(_is_fine_time(field.type) for field in schema),
            )
    except (pa.ArrowException, OSError) as exc:
        raise InvalidInput(f"The {role} can't be read as Parquet; it is damaged or incomplete.") from exc


_TYPES = {"numeric": pa.float64(), "enum": pa.string(), "time": pa.timestamp("ms"), "string": pa.string()}


def copy_as(path: Path, target: Path, types: Mapping[str, ColumnType]) -> None:
    """Write a Parquet file with columns of the given types, as H2O keeps those of the file whatever parsing is told;
    and with all its times in milliseconds, since H2O reads finer ones as plain numbers.

    Raises ``InvalidInput`` that names the column whose values can't be read so.
    """
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        for index, field in enumerate(schema):
            if field.name in types:
                schema = schema.set(index, field.with_type(_TYPES[types[field.name]]))
            elif _is_fine_time(field.type):
                schema = schema.set(index, field.with_type(pa.timestamp("ms", field.type.tz)))
        with pq.ParquetWriter(target, schema) as copy:
            for batch in file.iter_batches():
                columns = [_cast(batch.column(field.name), field, types.get(field.name)) for field in schema]
                copy.write_table(pa.Table.from_arrays(columns, schema=schema))


def _cast(column: pa.Array, field: pa.Field, kind: ColumnType | None) -> pa.Array:
    if pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(field.type):
        column = column.dictionary_decode()
    if kind == "time" and pa.types.is_integer(column.type):
        # As in a CSV file, a whole number is milliseconds since 1970.
        column = pc.cast(column, pa.int64())
    if kind in ("enum", "string") and pa.types.is_floating(column.type):
        # A category is called 1, not 1.0, where the column can be missing and therefore has doubles.
        whole = pc.all(pc.equal(column, pc.floor(column))).as_py() is not False
        column = pc.cast(column, pa.int64(), safe=False) if whole else column
    if kind == "numeric" and (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        column = pc.cast(pc.cast(column, pa.timestamp("ms"), safe=False), pa.int64())
    try:
        return pc.cast(column, field.type, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        raise InvalidInput(
            f"types makes column {field.name!r} {kind}, but its values of type {column.type} can't be read so."
        ) from exc


def _is_fine_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) and kind.unit in ("us", "ns"))


def _unnamed_index(schema: pa.Schema) -> frozenset[str]:
    """The columns that pandas wrote an index without a name to."""
    index = (schema.pandas_metadata or {}).get("index_columns", ())
    return frozenset(name for name in index if isinstance(name, str) and name.startswith("__index_level_"))


def require_readable(file: pq.ParquetFile, schema: pa.Schema, role: str) -> None:
    for field in schema:
        kind = field.type
        if pa.types.is_nested(kind) or any(is_bytes(kind) for is_bytes in _BYTES):
            raise InvalidInput(f"Column {field.name!r} of the {role} holds {kind}, which is no plain value; drop it.")
        if pa.types.is_null(kind):
            raise InvalidInput(f"Column {field.name!r} of the {role} holds no value at all; drop it.")
        if pa.types.is_float16(kind):
            raise InvalidInput(f"Column {field.name!r} of the {role} holds {kind}, which H2O misreads; write float32.")
    for group in range(file.metadata.num_row_groups):
        for index in range(file.metadata.num_columns):
            codec = file.metadata.row_group(group).column(index).compression
            if codec not in READABLE_CODECS:
                raise InvalidInput(
                    f"The {role} is compressed with {codec.lower()}, which H2O can't read; write it with "
                    "snappy, gzip, zstd or none."
                )


def _require_signed(file: pq.ParquetFile, schema: pa.Schema, role: str) -> None:
    for field in schema:
        if pa.types.is_uint64(field.type):
            column = file.read(columns=[field.name]).column(0)
            row = pc.index(pc.greater_equal(column, pa.scalar(2**63, pa.uint64())), True).as_py()
            if row >= 0:
                raise InvalidInput(
                    f"Column {field.name!r} of the {role} has {column[row].as_py()} in {_row(row + 1)}, and H2O reads "
                    "whole numbers only below 2^63; write it as float64."
                )


def _varying(file: pq.ParquetFile, names: list[str]) -> frozenset[str]:
    """A look at the first rows spares reading nearly all columns."""
    first = next(file.iter_batches(_FIRST_LOOK_ROWS, columns=names), None)
    varying = set() if first is None else {name for name in names if _varies(first.column(name))}
    return frozenset(varying | {name for name in set(names) - varying if _varies(file.read(columns=[name]).column(0))})


def _varies(column: pa.Array | pa.ChunkedArray) -> bool:
    return column.null_count not in (0, len(column)) or len(column.unique()) > 1


def _texts(file: pq.ParquetFile, schema: pa.Schema, target: str | None) -> dict[str, tuple[int, str]]:
    """Row and value of the first text of each column that has any."""
    found = {}
    for field in schema:
        if field.name != target and is_text(field.type):
            column = file.read(columns=[field.name]).column(0).cast(pa.string()).combine_chunks()
            text = first_text(column)
            if text is not None:
                found[field.name] = text
    return found


def is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def _target_facts(column: pa.ChunkedArray, classes: frozenset[str] | None) -> TargetFacts:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        # H2O reads what is no finite number as missing.
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    facts = TargetFacts(known=classes, missing=column.null_count)
    if pa.types.is_floating(column.type) and pc.all(pc.equal(column, pc.floor(column))).as_py():
        # H2O calls a class 1, not 1.0, where the column can be missing and therefore has doubles.
        column = pc.cast(column, pa.int64(), safe=False)
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
