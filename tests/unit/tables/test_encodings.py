import codecs
import gzip
from pathlib import Path

import pytest

from tasks.errors import InvalidInput
from tasks.tables import encodings
from tasks.tables.encodings import Encoding, as_utf8

TEXT = "größe,y\nküçük,1\n大,2\n"
LATIN = "größe,y\nküçük,1\n"


def recoded(directory: Path, content: bytes, asked: Encoding = "auto", *, cut_off: bool = False) -> bytes:
    path = directory / "table.csv"
    path.write_bytes(content)
    return as_utf8(path, "dataset", asked, directory, cut_off=cut_off).read_bytes()


@pytest.mark.parametrize(
    ("asked", "content"),
    [
        ("auto", TEXT.encode()),
        ("utf-8", TEXT.encode()),
        ("auto", codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")),
        ("auto", codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be")),
        ("utf-16", codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be")),
        ("utf-16-be", TEXT.encode("utf-16-be")),
        ("auto", gzip.compress(TEXT.encode("utf-16"), mtime=0)),
        ("gb18030", TEXT.encode("gb18030")),
    ],
)
def test_the_text_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Encoding, content: bytes) -> None:
    # Characters of several bytes are cut at every place.
    monkeypatch.setattr(encodings, "_CHUNK_BYTES", 3)
    assert recoded(tmp_path, content, asked).decode() == TEXT


@pytest.mark.parametrize("asked", ["latin-1", "windows-1252"])
def test_bytes_of_western_europe(tmp_path: Path, asked: Encoding) -> None:
    assert recoded(tmp_path, LATIN.encode(asked), asked).decode() == LATIN


def test_every_encoding_is_known_to_python() -> None:
    for name in Encoding.__args__:  # type: ignore[attr-defined] # a Literal has them
        assert name == "auto" or codecs.lookup(name)


def test_utf8_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(gzip.compress(b"x,y\n"))
    assert as_utf8(path, "dataset", "auto", tmp_path) == path


def test_parquet_and_what_is_gone_pass(tmp_path: Path) -> None:
    path = tmp_path / "table"
    assert as_utf8(path, "dataset", "latin-1", tmp_path) == path
    path.write_bytes(b"PAR1\xff")
    assert as_utf8(path, "dataset", "latin-1", tmp_path) == path


def test_a_cut_character_is_none_at_the_end_of_a_sample(tmp_path: Path) -> None:
    content = codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")[:-1]
    assert recoded(tmp_path, content, cut_off=True).decode() == TEXT[:-1]
    with pytest.raises(InvalidInput, match="is not utf-16-le text: line 3 has the byte 0x0a; set encoding"):
        recoded(tmp_path, content)


def test_a_byte_without_a_meaning_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is not windows-1252 text: line 3 has the byte 0x81; set encoding"):
        recoded(tmp_path, b"x,y\r\n1,2\r\n\x81,3\r\n", "windows-1252")


@pytest.mark.parametrize("content", [b"\x1f\x8bbroken", gzip.compress(b"x" * 1000, mtime=0)[:-9]])
def test_a_broken_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidInput, match="can't be unpacked"):
        recoded(tmp_path, content, "latin-1")
