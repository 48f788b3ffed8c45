"""A CSV file's bytes: unpacked if need be, and looked through while something else reads them."""

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path

from tasks.errors import InvalidInput

_CHUNK_BYTES = 1 << 20
_BLANK_LINE = re.compile(rb"\n[\r\n]|\r\r")


def open_bytes(path: Path, role: str) -> io.BufferedReader:
    """The file's bytes, unpacked. Raises ``InvalidInput`` for an empty file."""
    with path.open("rb") as file:
        head = file.read(2)
    if not head:
        raise InvalidInput(f"The {role} is empty.")
    if head == b"\x1f\x8b":
        return io.BufferedReader(gzip.open(path, "rb"))
    return path.open("rb")


class WatchedBytes:
    """A binary file that is read once from its beginning, and stops where it is no UTF-8 text or holds a NUL byte.

    ``ending`` is added at its end. Afterwards it tells what a quick reader has to know: where the first quote is,
    whether there are quotes after spaces (``late``) or before other characters (``odd``), blank lines, and lines that
    begin with #.
    """

    closed = False

    def __init__(self, file: io.BufferedReader, separator: str, ending: bytes = b"") -> None:
        self.bad_byte: int | None = None
        self.first_quote: int | None = None
        self.late_quotes = False
        self.odd_quotes = False
        self.blank_lines = False
        self.marked_lines = False
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        cut = re.escape(separator.encode())
        # Some readers take it for the beginning of a quoted field, others for text.
        self._late_quote = re.compile(rb'(?:[\r\n]|%b) +"' % cut)
        # A part of the text, or the end of a field that goes on in spite of it.
        self._odd_quote = re.compile(rb'[^\r\n%b]"[^\r\n"%b]' % (cut, cut))
        self._marked_line = re.compile(rb"[\r\n] *#")
        self._position = 0
        self._tail = b""
        self._ending = ending

    def read(self, size: int = -1) -> bytes:
        chunk = b"" if self.bad_byte is not None else self._file.read(size)
        self._check(chunk)
        if self.bad_byte is not None:
            return b""
        if not chunk:
            ending, self._ending = self._ending, b""
            return ending
        seam = self._tail + chunk
        if b'"' in chunk:
            if self.first_quote is None:
                self.first_quote = self._position + chunk.index(b'"')
            self.late_quotes = self.late_quotes or self._late_quote.search(seam) is not None
            self.odd_quotes = self.odd_quotes or self._odd_quote.search(seam) is not None
        self._position += len(chunk)
        if not self.blank_lines:
            self.blank_lines = _BLANK_LINE.search(seam) is not None
        self.marked_lines = self.marked_lines or self._marked_line.search(seam) is not None
        self._tail = chunk[-64:]
        return chunk

    def close(self) -> None:
        self._file.close()

    def _check(self, chunk: bytes) -> None:
        kept = len(self._decoder.getstate()[0])
        try:
            self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as exc:
            self.bad_byte = self._position - kept + exc.start
        nul = chunk.find(b"\x00")
        if nul >= 0:
            self.bad_byte = min(self._position + nul, self.bad_byte or self._position + nul)


def refuse_bad_byte(path: Path, role: str, position: int, separator: str, columns: tuple[str, ...]) -> InvalidInput:
    """What to say of a byte that can't be part of a text: its line, and its column as far as that can be told."""
    line, before, byte = line_until(path, role, position)
    text = before.decode("utf-8", "replace")
    fields = next(csv.reader([text], delimiter=separator, skipinitialspace=True), [""])
    column = f" in column {columns[len(fields) - 1]!r}" if columns and len(fields) <= len(columns) else ""
    if byte == 0:
        return InvalidInput(f"Line {line} of the {role} holds a NUL byte{column}; remove it.")
    return InvalidInput(
        f"The {role} is not UTF-8 text: line {line} has the byte 0x{byte:02x}{column}; save it as UTF-8."
    )


def line_until(path: Path, role: str, position: int) -> tuple[int, bytes, int]:
    """The number of the line that a byte is in, what stands before it there, and the byte."""
    line, before, left = 1, b"", position
    ends = _line_ends(path, role)
    with open_bytes(path, role) as file:
        while left:
            chunk = file.read(min(left, _CHUNK_BYTES))
            left -= len(chunk)
            line += chunk.count(ends)
            _head, end, rest = chunk.rpartition(ends)
            before = rest if end else before + rest
        return line, before, file.read(1)[0]


def _line_ends(path: Path, role: str) -> bytes:
    """What ends the lines: a carriage return only where nothing else does."""
    with open_bytes(path, role) as file:
        head = file.read(_CHUNK_BYTES)
    return b"\n" if b"\n" in head or b"\r" not in head else b"\r"


def text_lines(path: Path, role: str, start: int = 0) -> Iterator[str]:
    """The lines of a file that is known to be UTF-8, with their ends, from a byte on."""
    with open_bytes(path, role) as file:
        file.seek(start)
        yield from io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
