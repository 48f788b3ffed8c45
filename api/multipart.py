"""The one file of a multipart/form-data body (RFC 7578), piece by piece as it arrives."""

import mimetypes
import re
from http import HTTPStatus

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.problems import FieldError, Problem, invalid

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_LONGEST_NAME = 255
_LONGEST_MEDIA_TYPE = 200


class FilePart:
    """Fed with the body's bytes, gives back the file's. The body has exactly one part, named ``file``."""

    def __init__(self, content_type: str) -> None:
        """Raises the problem 415 for another content type."""
        media_type, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if media_type != b"multipart/form-data" or not boundary:
            detail = "Send the file as multipart/form-data, in a field named 'file'."
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_multipart", detail)
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
            )
        except FormParserError as exc:
            raise _malformed() from exc
        self._headers: dict[str, str] = {}
        self._header = bytearray(), bytearray()
        self._pieces: list[bytes] = []
        self._parts = 0
        self._complete = False
        self.name = ""
        self.media_type = ""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The pieces of the file that are in this chunk of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as exc:
            raise _malformed() from exc
        pieces, self._pieces = self._pieces, []
        return pieces

    def finish(self) -> None:
        """Call after the last chunk; raises a problem when the body broke off or had no file."""
        if not self._complete:
            raise _malformed()
        if not self._parts:
            raise invalid([FieldError("file", "Send the file in a field named 'file'.", "missing")])

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise invalid([FieldError("", "Send one file per request, and no other field.", "unknown_field")])

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _header_ends(self) -> None:
        name, value = self._header
        self._headers[name.decode("latin-1").lower()] = value.decode("utf-8", "replace")
        self._header = bytearray(), bytearray()

    def _headers_end(self) -> None:
        _form_data, options = parse_options_header(self._headers.get("content-disposition", "").encode())
        field = options.get(b"name", b"").decode("utf-8", "replace")
        if field != "file" or b"filename" not in options:
            raise invalid(
                [FieldError(field, "Send the file in a field named 'file', with a file name.", "unknown_field")]
            )
        self.name = _plain_name(options[b"filename"].decode("utf-8", "replace"))
        self.media_type = _media_type(self._headers.get("content-type", ""), self.name)

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _end(self) -> None:
        self._complete = True


def _plain_name(sent: str) -> str:
    """The last part of what may be a path on the sender's machine, without control characters."""
    name = re.split(r"[/\\]", sent)[-1]
    name = "".join(char for char in name if char.isprintable())[-_LONGEST_NAME:]
    return "file" if name in ("", ".", "..") else name


def _media_type(sent: str, name: str) -> str:
    media_type = sent.partition(";")[0].strip().lower()
    if len(media_type) > _LONGEST_MEDIA_TYPE:
        return "application/octet-stream"
    if _MEDIA_TYPE.fullmatch(media_type) and media_type != "application/octet-stream":
        return media_type
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _malformed() -> Problem:
    return Problem(
        HTTPStatus.BAD_REQUEST, "malformed_multipart", "The multipart body is broken or incomplete; send it again."
    )
