"""What a file is by its first bytes."""

from pathlib import Path

from tasks.errors import InvalidInput

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


def is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def refuse_other_formats(head: bytes, role: str) -> None:
    """Raise ``InvalidInput`` for what is neither UTF-8 text nor a table."""
    for magic, name in _FORMATS:
        if head.startswith(magic):
            raise InvalidInput(f"The {role} is {name}, not a table; upload CSV or Parquet.")
    if head.startswith(_UTF16_MARKS):
        raise InvalidInput(f"The {role} is UTF-16 text; set encoding to auto or utf-16, or save it as UTF-8.")
    order = _order_of_unmarked_utf16(head)
    if order is not None:
        raise InvalidInput(
            f"The {role} is UTF-16 text without a byte order mark; set encoding to utf-16-{order}, or save it as UTF-8."
        )
    if b"\x00" in head:
        raise InvalidInput(f"The {role} is a binary file, not a table; upload CSV or Parquet.")


def _order_of_unmarked_utf16(head: bytes) -> str | None:
    """Where every second byte is NUL, as with plain letters in UTF-16: which of each two comes first, le or be."""
    pairs = len(head) // 2
    if pairs <= 3:
        return None
    nuls = (head[: 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0))
    return {(0, pairs): "le", (pairs, 0): "be"}.get(nuls)
