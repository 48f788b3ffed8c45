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
_BLANK_LINES = (b"\n\n", b"\n\r", b"\r\r")


def open_bytes(path: Path, role: str) -> io.BufferedReader:
    """The file's bytes, unpacked. Raises ``InvalidInput`` for an empty file."""
    if not path.stat().st_size:
        raise InvalidInput(f"The {role} is empty.")
    return io.BufferedReader(gzip.open(path, "rb")) if is_gzip(path) else path.open("rb")


def is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


class EndedBytes:
    """A binary file with something more at its end, for a reader of files."""

    closed = False

    def __init__(self, file: io.BufferedReader, ending: bytes) -> None:
        self._file = file
        self._ending = ending

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        if not chunk:
            chunk, self._ending = self._ending, b""
        return chunk

    def close(self) -> None:
        self._file.close()


class WatchedBytes:
    """What a file's bytes show before they are parsed, chunk by chunk.

    ``bad_byte`` is where it is no UTF-8 text or holds a NUL byte, ``first_quote`` where the first quote is.
    ``late_quotes`` stand after spaces: some readers take them for the beginning of a quoted field, others for text.
    ``odd_quotes`` are those before another character, as parts of the text or ends of fields that go on in spite of it,
    and a number of quotes that is odd. ``marked_lines`` begin with #.
    """

    def __init__(self, separator: str) -> None:
        self.bad_byte: int | None = None
        self.first_quote: int | None = None
        self.late_quotes = False
        self.odd_quotes = False
        self.blank_lines = False
        self.marked_lines = False
        self._quotes = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        cut = re.escape(separator.encode())
        self._late_quote = re.compile(rb'(?:[\r\n]|%b) +"' % cut)
        # It begins with the quote, which is found many times faster than any character before one.
        self._odd_quote = re.compile(rb'"(?<=[^\r\n%b]")[^\r\n"%b]' % (cut, cut))
        self._marked_line = re.compile(rb"[\r\n] *#")
        self._position = 0
        self._tail = b""

    def see(self, chunk: bytes) -> None:
        """Take in the next bytes; none at the end."""
        self._check(chunk)
        seam = self._tail + chunk
        if b'"' in chunk:
            if self.first_quote is None:
                self.first_quote = self._position + chunk.index(b'"')
            self._quotes += chunk.count(b'"')
            self.late_quotes = self.late_quotes or (b' "' in seam and self._late_quote.search(seam) is not None)
            self.odd_quotes = self.odd_quotes or self._odd_quote.search(seam) is not None
        self.blank_lines = self.blank_lines or any(ends in seam for ends in _BLANK_LINES)
        if b"#" in seam:
            self.marked_lines = self.marked_lines or self._marked_line.search(seam) is not None
        self._position += len(chunk)
        self._tail = chunk[-64:]
        if not chunk:
            self.odd_quotes = self.odd_quotes or self._quotes % 2 == 1

    def _check(self, chunk: bytes) -> None:
        kept = len(self._decoder.getstate()[0])
        try:
            self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as exc:
            self.bad_byte = self._position - kept + exc.start
        nul = chunk.find(b"\x00")
        if nul >= 0:
            self.bad_byte = min(self._position + nul, self.bad_byte or self._position + nul)


def look_through(path: Path, role: str, separator: str) -> WatchedBytes:
    """Look at all bytes of a file, or at those until one can't be part of a text."""
    watched = WatchedBytes(separator)
    with open_bytes(path, role) as file:
        more = True
        while more and watched.bad_byte is None:
            chunk = file.read(_CHUNK_BYTES)
            watched.see(chunk)
            more = bool(chunk)
    return watched


def refuse_bad_byte(path: Path, role: str, position: int, separator: str, columns: tuple[str, ...]) -> InvalidInput:
    """What to say of a byte that can't be part of a text: its line, and its column as far as that can be told."""
    line, before, byte = line_until(path, role, position)
    text = before.decode("utf-8", "replace")
    fields = next(csv.reader([text], delimiter=separator, skipinitialspace=True), [""])
    column = f" in column {columns[len(fields) - 1]!r}" if columns and len(fields) <= len(columns) else ""
    if byte == 0:
        return InvalidInput(f"Line {line} of the {role} holds a NUL byte{column}; remove it.")
    return InvalidInput(
        f"The {role} is not UTF-8 text: line {line} has the byte 0x{byte:02x}{column}; set encoding to what it "
        "was saved in, such as windows-1252, or save it as UTF-8."
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
