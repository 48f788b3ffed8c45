"""Texts in other encodings than UTF-8, which is all that H2O and Arrow read."""

import codecs
import gzip
import zlib
from pathlib import Path
from typing import Literal

from tasks.errors import InvalidInput
from tasks.tables.csv_bytes import open_bytes
from tasks.tables.formats import is_parquet

Encoding = Literal[
    "auto",
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "latin-1",
    "iso-8859-2",
    "iso-8859-15",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "koi8-r",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "big5",
    "gb18030",
]
ENCODING_HELP = (
    "How the text of a CSV file is encoded; auto: UTF-8, or UTF-16 with a byte order mark. Parquet needs none."
)

_MARKS: dict[bytes, Encoding] = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_MARK = "\ufeff"
_CHUNK_BYTES = 1 << 20


def encoding_of(path: Path, role: str, asked: Encoding = "auto") -> Encoding:
    """The encoding to read a text with. ``auto`` and ``utf-16`` heed a byte order mark."""
    if asked not in ("auto", "utf-16"):
        return asked
    with open_bytes(path, role) as file:
        return _MARKS.get(file.read(2), "utf-8" if asked == "auto" else "utf-16-le")


def as_utf8(path: Path, role: str, asked: Encoding, directory: Path, *, cut_off: bool = False) -> Path:
    """The file itself if it is UTF-8 or no text, else a copy of it in ``directory`` that is, unpacked.

    A file that is ``cut_off`` may end in the middle of a character. Raises ``InvalidInput`` that names the line where
    the text isn't what it is said to be.
    """
    if not path.is_file() or is_parquet(path):
        return path
    try:
        encoding = encoding_of(path, role, asked)
        if encoding == "utf-8":
            return path
        copy = directory / f"{role}.utf-8.csv"
        _recode(path, role, encoding, copy, cut_off=cut_off)
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise InvalidInput(f"The {role} can't be unpacked: {exc}; upload it again.") from exc
    return copy


def _recode(path: Path, role: str, encoding: Encoding, copy: Path, *, cut_off: bool) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    line, begun = 1, False
    with open_bytes(path, role) as source, copy.open("wb") as target:
        more = True
        while more:
            chunk = source.read(_CHUNK_BYTES)
            more = bool(chunk)
            try:
                text = decoder.decode(chunk, final=not more and not cut_off)
            except UnicodeDecodeError as exc:
                before = exc.object[: exc.start].decode(encoding, "replace")
                raise InvalidInput(
                    f"The {role} is not {encoding} text: line {line + _line_ends(before)} has the byte "
                    f"0x{exc.object[exc.start]:02x}; set encoding to what it was saved in, or save it as UTF-8."
                ) from exc
            line += _line_ends(text)
            target.write((text if begun else text.removeprefix(_MARK)).encode())
            begun = begun or bool(text)


def _line_ends(text: str) -> int:
    return text.count("\n") or text.count("\r")
