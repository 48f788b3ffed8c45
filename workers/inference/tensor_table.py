"""Tables as tensors: some columns make each input of a model, row by row, and its outputs become columns again."""

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tasks.errors import InvalidInput
from workers.inference.signature import Port, Signature
from workers.inference.tensors import Array, fitting

ROWS_AT_ONCE = 1024
_LONGEST_HEADER_CHARACTERS = 10_000_000
_BLOCK_BYTES = 4 << 20
_SEPARATORS = ",;\t"

# Rows as tensors by input, the number of the first one, and the share of the table that is read then.
Part = tuple[dict[str, Array], int, float]


class TensorTable:
    """A CSV or Parquet file, read in pieces of ``rows`` rows. Raises ``InvalidInput`` that names column and row."""

    def __init__(
        self, path: Path, signature: Signature, columns: Mapping[str, Sequence[str]] | None, rows: int = ROWS_AT_ONCE
    ) -> None:
        self._path = path
        self._signature = signature
        self._rows = rows
        with path.open("rb") as file:
            self._is_parquet = file.read(4) == b"PAR1"
        with _refusals():
            names = pq.read_schema(path).names if self._is_parquet else _csv_header(path)[1]
        self._columns = chosen_columns(signature, names, columns)

    def parts(self, *, allow_nan: bool) -> Iterator[Part]:
        first = 0
        wanted = [name for names in self._columns.values() for name in names]
        for batch, share in _Pieces(self._batches(wanted), self._rows):
            arrays = {
                port.name: self._tensor(port, batch, first, allow_nan=allow_nan)
                for port in self._signature.inputs
                if port.name in self._columns
            }
            self._signature.require_shapes({name: array.shape for name, array in arrays.items()})
            yield arrays, first, share
            first += batch.num_rows

    def _tensor(self, port: Port, batch: pa.RecordBatch, first: int, *, allow_nan: bool) -> Array:
        names = self._columns[port.name]
        arrays = [_array(name, batch.column(name), first, allow_nan=allow_nan) for name in names]
        if len(arrays) == 1:
            array = arrays[0]
            if array.ndim == 1 and port.shape is not None and len(port.shape) == 2:
                array = array[:, np.newaxis]
        else:
            array = np.stack([_flat(name, array) for name, array in zip(names, arrays, strict=True)], axis=1)
        if port.shape is not None and len(port.shape) > 2 and array.ndim == 2:
            array = _shaped(port, array)
        return fitting(port.name, array, port, allow_nan=allow_nan, first_row=first)

    def _batches(self, wanted: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, float]]:
        yield from self._parquet_batches(wanted) if self._is_parquet else self._csv_batches(wanted)

    def _parquet_batches(self, wanted: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, float]]:
        with _refusals(), pq.ParquetFile(self._path) as file:
            total, read = max(file.metadata.num_rows, 1), 0
            for batch in file.iter_batches(self._rows, columns=list(dict.fromkeys(wanted))):
                read += batch.num_rows
                yield batch, read / total

    def _csv_batches(self, wanted: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, float]]:
        with _refusals(), self._path.open("rb") as raw:
            separator, _names = _csv_header(self._path)
            total = max(self._path.stat().st_size, 1)
            reader = pacsv.open_csv(
                _unpacked(raw),
                pacsv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
                pacsv.ParseOptions(delimiter=separator, newlines_in_values=True),
                pacsv.ConvertOptions(include_columns=list(dict.fromkeys(wanted)), column_types=self._csv_types()),
            )
            for batch in reader:
                yield batch, min(raw.tell() / total, 1.0)

    def _csv_types(self) -> dict[str, pa.DataType]:
        """What a model takes says what a column is; a guess from its first rows may be wrong."""
        return {
            name: _ARROW_TYPES[port.dtype]
            for port in self._signature.inputs
            for name in self._columns.get(port.name, ())
            if port.dtype is not None
        }


_ARROW_TYPES = {
    **dict.fromkeys(("float16", "float32", "float64"), pa.float64()),
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"), pa.int64()),
    "uint64": pa.uint64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


class _Pieces:
    """The same rows in pieces of a given number, the last one with what is left."""

    def __init__(self, batches: Iterator[tuple[pa.RecordBatch, float]], rows: int) -> None:
        self._batches = batches
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[pa.RecordBatch, float]]:
        rest: list[pa.RecordBatch] = []
        share = 1.0
        for batch, share in self._batches:
            rest.append(batch)
            if sum(one.num_rows for one in rest) >= self._rows:
                table = pa.Table.from_batches(rest).combine_chunks()
                whole = table.num_rows // self._rows * self._rows
                for begin in range(0, whole, self._rows):
                    yield _one(table.slice(begin, self._rows)), share
                rest = [_one(table.slice(whole))] if table.num_rows > whole else []
        if any(one.num_rows for one in rest):
            yield _one(pa.Table.from_batches(rest).combine_chunks()), share


def _one(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]


def chosen_columns(
    signature: Signature, names: Sequence[str], asked: Mapping[str, Sequence[str]] | None
) -> dict[str, list[str]]:
    """Which columns make which input. Raises ``InvalidInput`` if that can't be told, or one is missing."""
    if asked is not None:
        signature.require_names(list(asked))
        chosen = {name: list(columns) for name, columns in asked.items()}
    elif len(signature.inputs) == 1 and signature.inputs[0].name not in names:
        chosen = {signature.inputs[0].name: list(names)}
    else:
        chosen = {port.name: [port.name] for port in signature.inputs if not port.optional or port.name in names}
    wanted = [name for columns in chosen.values() for name in columns]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InvalidInput(
            f"The table has no column {missing[0][:100]!r}; it has {_listed(names)}. Say by columns which of them make "
            "each of the model's inputs."
        )
    twice = [name for name in wanted if names.count(name) > 1] if isinstance(names, list) else []
    if twice:
        raise InvalidInput(f"The table has more than one column {twice[0][:100]!r}; rename one of them.")
    return chosen


def _array(name: str, column: pa.Array, first: int, *, allow_nan: bool) -> Array:
    if pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type) or pa.types.is_large_list(column.type):
        return _lists(name, column, first, allow_nan=allow_nan)
    if column.null_count and not (allow_nan and pa.types.is_floating(column.type)):
        row = first + column.is_null().index(pa.scalar(True)).as_py() + 1
        raise InvalidInput(
            f"Column {name[:100]!r} has no value in row {row}; clean the data, or set allow_nan for fractions."
        )
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=object)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise InvalidInput(f"Column {name[:100]!r} is of the type {column.type}, which no model takes.")
    array: Array = column.to_numpy(zero_copy_only=False)
    return array


def _lists(name: str, column: pa.Array, first: int, *, allow_nan: bool) -> Array:
    """Lists of one length are the further axis of a tensor."""
    if column.null_count:
        raise InvalidInput(f"Column {name[:100]!r} lacks the list of a row after {first}.")
    flat = column.flatten()
    if len(flat) % max(len(column), 1) or (
        len(column) and set(column.value_lengths().to_pylist()) != {len(flat) // len(column)}
    ):
        raise InvalidInput(f"Column {name[:100]!r} has lists of different lengths after row {first}.")
    inner = _array(name, flat, first, allow_nan=allow_nan)
    return inner.reshape(len(column), -1, *inner.shape[1:])


def _flat(name: str, array: Array) -> Array:
    if array.ndim != 1:
        raise InvalidInput(f"Column {name[:100]!r} has lists; it has to make an input alone.")
    return array


def _shaped(port: Port, array: Array) -> Array:
    """A flat list of each row in the shape that the model wants, where that is fixed."""
    inner = (port.shape or ())[1:]
    if all(isinstance(length, int) for length in inner) and array.shape[1] == np.prod(np.array(inner, dtype=np.int64)):
        return array.reshape(len(array), *(int(length) for length in inner if isinstance(length, int)))
    return array


class TensorColumns:
    """Writes the outputs of a table as Parquet: a column for each, of lists where it has more than one value a row."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def write(self, outputs: Mapping[str, Array], rows: int) -> None:
        table = pa.table({name: _column(name, array, rows) for name, array in outputs.items()})
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table.cast(self._writer.schema))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _column(name: str, array: Array, rows: int) -> pa.Array:
    if not array.ndim or len(array) != rows:
        raise InvalidInput(
            f"Output {name!r} has the shape {list(array.shape)} for {rows} rows; a table needs a model that gives one "
            "result for each row. Give tensors as inputs instead, or choose other outputs."
        )
    flat = pa.array(array.reshape(-1).tolist() if array.dtype.kind in "UO" else array.reshape(-1))
    width = array.size // rows
    return flat if array.ndim == 1 or width == 1 else pa.FixedSizeListArray.from_arrays(flat, width)


def _csv_header(path: Path) -> tuple[str, list[str]]:
    """Separator and columns."""
    with path.open("rb") as raw:
        line = io.TextIOWrapper(_unpacked(raw), encoding="utf-8-sig", newline="").readline(_LONGEST_HEADER_CHARACTERS)
    if not line.strip():
        raise InvalidInput("The table is empty, or has no header line.")
    separator = max(_SEPARATORS, key=line.count)
    return separator, next(csv.reader([line], delimiter=separator))


def _unpacked(raw: IO[bytes]) -> IO[bytes]:
    magic = raw.read(2)
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw) if magic == b"\x1f\x8b" else raw  # type: ignore[return-value] # an IO but by name


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, gzip.BadGzipFile, EOFError, csv.Error) as exc:
        said = str(exc).split(":", 1)[-1].strip().partition("\n")[0][:200]
        raise InvalidInput(f"The table can't be read as CSV or Parquet: {said}") from exc


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:60]) for name in names[:20]) + (
        f" and {len(names) - 20} more" if len(names) > 20 else ""
    )
