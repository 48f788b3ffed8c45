"""Reads a CSV file through and refuses what H2O would silently misread: other encodings, ragged lines, no header."""

import codecs
import csv
import gzip
import io
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from tasks.errors import InvalidInput
from workers.runtimes.h2o_automl.column_facts import MISSING_WORDS, TableFacts, TargetFacts, is_text

SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_CHARACTERS = 65536
_FORMATS = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3", "an SQLite database"),
    (b"ARROW1", "a Feather file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"BZh", "a bzip2 archive"),
)
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class RowReader(Protocol):
    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


def read_csv(
    path: Path, role: str, target: str, wanted: Sequence[str] | None, *, find_texts: bool = False
) -> TableFacts:
    """Read the file through. ``wanted`` are the columns that have to be there beside ``target``.

    Raises ``InvalidInput`` that names the line or column, and the file by its ``role``.
    """
    with _open_bytes(path, role) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="strict", newline="")
        reader: RowReader | None = None
        try:
            head = file.peek(64)
            _refuse_other_formats(head, role)
            sample = text.read(_SAMPLE_CHARACTERS)
            separator = _separator(sample, role)
            reader = csv.reader(_lines(sample, text), delimiter=separator, skipinitialspace=True)
            columns = _header(reader, role)
            require_columns(columns, role, target, wanted)
            facts = _read_rows(reader, columns, separator, role, target, find_texts=find_texts)
            return replace(facts, marked=head.startswith(codecs.BOM_UTF8))
        except UnicodeDecodeError as exc:
            line = "" if reader is None else f" after line {reader.line_num}"
            byte = exc.object[exc.start]
            raise InvalidInput(f"The {role} is not UTF-8 text{line} (byte 0x{byte:02x}); save it as UTF-8.") from exc
        except csv.Error as exc:
            line = "" if reader is None else f" in line {reader.line_num + 1}"
            raise InvalidInput(
                f"The {role} can't be read as CSV{line}: {exc}; look for a quote that is not closed."
            ) from exc
        except (EOFError, zlib.error, OSError) as exc:
            raise InvalidInput(f"The {role} can't be unpacked: {exc}; upload it again.") from exc


def require_columns(columns: Sequence[str], role: str, target: str, wanted: Sequence[str] | None) -> None:
    """Refuse a table without its target or with a wanted column missing; the message lists what there is."""
    shown = ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "")
    if target not in columns:
        raise InvalidInput(f"The {role} has no column {target!r} for the target; its columns are: {shown}.")
    for name in wanted or ():
        if name not in columns:
            raise InvalidInput(f"The {role} has no column {name!r}; its columns are: {shown}.")
    if len(columns) < 2:
        raise InvalidInput(
            f"The {role} has only the column {columns[0]!r}, and nothing to predict from; columns are separated by "
            "comma, semicolon, tab or |."
        )


def require_names(columns: Sequence[str], role: str) -> None:
    """Refuse columns without a name, or with the same one."""
    for position, name in enumerate(columns, start=1):
        if not name.strip():
            raise InvalidInput(f"Column {position} of the {role} has no name in the header line.")
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise InvalidInput(f"The {role} has more than one column {twice[0]!r}; rename one of them.")


def copy_without_mark(path: Path, target: Path) -> None:
    """Write the text of a file that begins with a byte order mark to another one, without the mark and unpacked."""
    with _open_bytes(path, "table") as source, target.open("wb") as copy:
        source.read(len(codecs.BOM_UTF8))
        shutil.copyfileobj(source, copy)


def _open_bytes(path: Path, role: str) -> io.BufferedReader:
    with path.open("rb") as file:
        head = file.read(2)
    if not head:
        raise InvalidInput(f"The {role} is empty.")
    if head == b"\x1f\x8b":
        return io.BufferedReader(gzip.open(path, "rb"))
    return path.open("rb")


def _refuse_other_formats(head: bytes, role: str) -> None:
    for magic, name in _FORMATS:
        if head.startswith(magic):
            raise InvalidInput(f"The {role} is {name}, not a table; upload CSV or Parquet.")
    if head.startswith(_UTF16_MARKS):
        raise InvalidInput(f"The {role} is UTF-16 text; save it as UTF-8.")
    if b"\x00" in head:
        raise InvalidInput(f"The {role} is a binary file, not a table; upload CSV or Parquet.")


def _lines(sample: str, rest: io.TextIOWrapper) -> Iterator[str]:
    """The lines of the text whose beginning was already read; the sample may end inside a line."""
    pieces = _split_lines(sample)
    last = pieces.pop() if pieces else ""
    yield from pieces
    yield last + rest.readline() if not last.endswith("\n") else last
    for line in rest:
        if "\x00" in line:
            raise csv.Error("it holds a NUL byte")
        yield line


def _split_lines(text: str) -> list[str]:
    """Lines with their ends, as files have them: ``str.splitlines`` would also split at rarer characters."""
    return io.StringIO(text, newline="").readlines()


def _separator(sample: str, role: str) -> str:
    """The separator that cuts the first lines into the same number of fields, the most if several do."""
    if not sample.strip():
        raise InvalidInput(f"The {role} is empty.")
    lines = [line for line in _split_lines(sample)[:50] if line.strip()]
    if len(lines) > 1 and len(sample) == _SAMPLE_CHARACTERS:
        lines = lines[:-1]
    best, best_score = ",", (0.0, 0)
    for candidate in SEPARATORS:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=candidate, skipinitialspace=True) if row)
        width, agreeing = widths.most_common(1)[0]
        score = (agreeing / len(lines), width)
        if width > 1 and score > best_score:
            best, best_score = candidate, score
    return best


def _header(reader: RowReader, role: str) -> list[str]:
    # H2O leaves out spaces before a name, and keeps those after it.
    columns = [name.lstrip() for name in next((row for row in reader if row), [])]
    if len(columns) > 1 and all(_is_number(name) for name in columns):
        raise InvalidInput(
            f"The first line of the {role} holds only numbers ({', '.join(columns[:5])}): add a header line with the "
            "columns' names."
        )
    require_names(columns, role)
    return columns


def _read_rows(
    reader: RowReader, columns: list[str], separator: str, role: str, target: str, *, find_texts: bool
) -> TableFacts:
    width = len(columns)
    target_index = columns.index(target)
    facts = TargetFacts()
    see = facts.see
    first: list[str] | None = None
    constant = [index for index in range(width) if index != target_index]
    texts: dict[str, tuple[int, str]] = {}
    textless = [index for index in range(width) if index != target_index] if find_texts else []
    rows = 0
    for row in reader:
        if len(row) != width:
            if not row:
                continue
            raise InvalidInput(
                f"Line {reader.line_num} of the {role} has {len(row)} fields where the header has {width}; "
                "quote fields that contain the separator."
            )
        rows += 1
        see(row[target_index], reader.line_num)
        found = [index for index in textless if is_text(row[index])]
        if found:
            texts |= {columns[index]: (reader.line_num, row[index]) for index in found}
            textless = [index for index in textless if index not in found]
        if first is None:
            first = row
        elif constant:
            constant = [index for index in constant if row[index] == first[index]]
    facts.settle()
    still = set(constant) if first is not None else set(range(width))
    varying = frozenset(name for index, name in enumerate(columns) if index not in still)
    return TableFacts(tuple(columns), rows, separator, facts, varying, texts=texts)


def _is_number(text: str) -> bool:
    if text.strip() in MISSING_WORDS:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True
