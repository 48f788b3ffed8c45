"""Reads a CSV file through and refuses what H2O would silently misread: other encodings, ragged lines, no header."""

import codecs
import csv
import difflib
import gzip
import io
import itertools
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import InvalidInput
from tasks.tables.column_facts import MISSING_WORDS, TableFacts
from tasks.tables.csv_bytes import look_through, open_bytes, refuse_bad_byte
from tasks.tables.csv_rows import CsvRows, Layout, TrainingPass
from tasks.tables.formats import refuse_other_formats

SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_CHARACTERS = 65536
# NUL, and what bytes that are no UTF-8 were replaced by.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def read_csv(
    path: Path,
    role: str,
    target: str | None,
    wanted: Sequence[str] | None,
    *,
    classes: frozenset[str] | None = None,
) -> TableFacts:
    """Read the file through. ``wanted`` are the columns that have to be there beside ``target``; ``classes`` are those
    that it may have.

    Raises ``InvalidInput`` that names the line or column, and the file by its ``role``.
    """
    with refusing(role):
        layout = read_layout(path, role)
        require_columns(layout.columns, role, target, wanted)
        rows = CsvRows(path, role, layout)
        seen = rows.read(lambda: TrainingPass(layout, target, classes=classes))
    seen.target.settle()
    return TableFacts(
        layout.columns,
        seen.features.rows,
        layout.separator,
        seen.target,
        seen.features.varying,
        rows.place,
        marked=layout.marked,
        texts=seen.features.texts,
        decimal_commas=seen.features.decimal_commas,
    )


@contextmanager
def refusing(role: str) -> Iterator[None]:
    """Turn what reading a broken file raises into ``InvalidInput``."""
    try:
        yield
    except csv.Error as exc:
        raise InvalidInput(
            f"The header line of the {role} has a quote that is never closed, or text after a closing one."
        ) from exc
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise InvalidInput(f"The {role} can't be unpacked: {exc}; upload it again.") from exc


def require_columns(columns: Sequence[str], role: str, target: str | None, wanted: Sequence[str] | None) -> None:
    """Refuse a table without its target or with a wanted column missing; the message lists what there is."""
    shown = ", ".join(name[:60] for name in columns[:20]) + (", …" if len(columns) > 20 else "")
    known = set(columns)
    for name in (*(() if target is None else (target,)), *(wanted or ())):
        if name not in known:
            purpose = " for the target" if name == target else ""
            near = _nearest(name, columns)
            hint = f"did you mean {near!r}? Its" if near is not None else "its"
            raise InvalidInput(f"The {role} has no column {name!r}{purpose}; {hint} columns are: {shown}.")
    if len(columns) < 2:
        raise InvalidInput(
            f"The {role} has only the column {columns[0]!r}, and nothing to predict from; columns are separated by "
            "comma, semicolon, tab or |."
        )


def _nearest(name: str, columns: Sequence[str]) -> str | None:
    """The column that was probably meant: the same but for case and spaces, or nearly the same."""
    plain = {" ".join(column.split()).casefold(): column for column in reversed(columns)}
    found = difflib.get_close_matches(" ".join(name.split()).casefold(), list(plain)[:1000], n=1, cutoff=0.7)
    return plain[found[0]] if found else None


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
    with open_bytes(path, "table") as source, target.open("wb") as copy:
        source.read(len(codecs.BOM_UTF8))
        shutil.copyfileobj(source, copy)


def read_layout(path: Path, role: str) -> Layout:
    """How the file is to be read. Raises ``InvalidInput`` for what is no table with a header, and what ``refusing``
    translates."""
    with open_bytes(path, role) as file:
        head = file.peek(64)[:64]
        refuse_other_formats(head, role)
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
        sample = text.read(_SAMPLE_CHARACTERS)
        separator = _separator(sample, role)
        lines = itertools.chain(_split_lines(sample + text.readline()), text)
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
        # H2O leaves out spaces before a name, and keeps those after it.
        columns = tuple(name.lstrip() for name in next((row for row in reader if row), []))
    _require_text(path, role, separator, columns)
    _require_header(columns, role)
    marked = head.startswith(codecs.BOM_UTF8)
    return Layout(columns, separator, leading_blank=sample.startswith(("\r", "\n")), marked=marked)


def _require_text(path: Path, role: str, separator: str, columns: Sequence[str]) -> None:
    """Refuse a header with bytes that are no text."""
    if not _NO_TEXT.search("".join(columns)):
        return
    watched = look_through(path, role, separator)
    if watched.bad_byte is not None:
        raise refuse_bad_byte(path, role, watched.bad_byte, separator, ())


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


def _require_header(columns: Sequence[str], role: str) -> None:
    if columns[0].startswith("#"):
        raise InvalidInput(
            f"The header line of the {role} begins with #, which H2O takes for a comment; rename the column "
            f"{columns[0]!r}."
        )
    if len(columns) > 1 and all(_is_number(name) for name in columns):
        raise InvalidInput(
            f"The first line of the {role} holds only numbers ({', '.join(columns[:5])}): add a header line with the "
            "columns' names."
        )
    require_names(columns, role)


def _is_number(text: str) -> bool:
    if text.strip() in MISSING_WORDS:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True
