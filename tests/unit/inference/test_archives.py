import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import ModelLoadFailed
from workers.inference import archive
from workers.inference.archive import MOST_GROWTH, sort_of, strip_single_directory, unpack


def a_zip(path: Path, entries: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            packed.writestr(info, content)
    return path


def a_tar(
    path: Path, entries: dict[str, bytes], change: Callable[[tarfile.TarInfo], None] = lambda _info: None
) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as packed:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            change(info)
            packed.addfile(info, io.BytesIO(content))
    return path


def unpacked(path: Path) -> dict[str, bytes]:
    sort = sort_of(path)
    assert sort is not None
    target = path.with_name("target")
    target.mkdir()
    unpack(path, sort, target)
    strip_single_directory(target)
    return {str(file.relative_to(target)): file.read_bytes() for file in target.rglob("*") if file.is_file()}


MANY = {f"{n}": b"" for n in range(11)}
FILES = {"m/config.json": b"{}", "m/deep/vocab.txt": b"a" * 3_000_000}


@pytest.mark.parametrize(
    ("name", "make"), [("m.zip", a_zip), ("m.tar", a_tar), ("m.tar.gz", a_tar)], ids=["zip", "tar", "tar.gz"]
)
def test_every_sort_of_archive(tmp_path: Path, name: str, make: Callable[[Path, dict[str, bytes]], Path]) -> None:
    assert unpacked(make(tmp_path / name, FILES)) == {
        "config.json": FILES["m/config.json"],
        "deep/vocab.txt": FILES["m/deep/vocab.txt"],
    }


@pytest.mark.parametrize(
    "name",
    ["../x", "/x", "a/../../x", "a\\..\\x", "C:\\x", "/".join("abcdefghij"), "x" * 1001, "a\x07b"],
)
@pytest.mark.parametrize(("file", "make"), [("m.zip", a_zip), ("m.tar", a_tar)])
def test_names_that_lead_elsewhere(
    tmp_path: Path, file: str, make: Callable[[Path, dict[str, bytes]], Path], name: str
) -> None:
    with pytest.raises(ModelLoadFailed, match="a name in a model's archive has to lead below it"):
        unpacked(make(tmp_path / file, {"config.json": b"{}", name: b"x"}))
    assert not (tmp_path / "x").exists()


def test_links_in_a_zip(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match="vocab is a link or a device"):
        unpacked(a_zip(tmp_path / "m.zip", {"vocab": b"/etc/passwd"}, mode=0o120777))


@pytest.mark.parametrize("sort", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar(tmp_path: Path, sort: bytes) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = sort, "/etc/passwd", 0

    with pytest.raises(ModelLoadFailed, match="vocab is a link, a device or sparse"):
        unpacked(a_tar(tmp_path / "m.tar", {"vocab": b""}, change))


@pytest.mark.parametrize(("file", "make"), [("m.zip", a_zip), ("m.tar.gz", a_tar)])
def test_bombs(tmp_path: Path, file: str, make: Callable[[Path, dict[str, bytes]], Path]) -> None:
    with pytest.raises(ModelLoadFailed, match=f"grows beyond {MOST_GROWTH} times its size"):
        unpacked(make(tmp_path / file, {"zeros": b"\0" * (80 << 20)}))
    written = sum(path.stat().st_size for path in (tmp_path / "target").rglob("*"))
    assert written <= 64 << 20


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_FILES", 10)
    for path in (a_zip(tmp_path / "m.zip", MANY), a_tar(tmp_path / "m.tar", MANY)):
        with pytest.raises(ModelLoadFailed, match="more than 10 entries"):
            unpack(path, sort_of(path) or "zip", tmp_path / path.suffix)


def test_a_table_of_contents_that_claims_to_be_huge(tmp_path: Path) -> None:
    path = a_zip(tmp_path / "m.zip", {"a": b"x"})
    content = bytearray(path.read_bytes())
    # The length of the table, in the record at the archive's end.
    struct.pack_into("<II", content, len(content) - 10, 16 << 20, 0)
    path.write_bytes(b"PK\3\4" + b"\0" * (20 << 20) + bytes(content))
    with pytest.raises(ModelLoadFailed, match="table of contents that is far too large"):
        unpacked(path)


def test_headers_that_take_memory(tmp_path: Path) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.pax_headers = {"comment": "x" * (7 << 20)}

    with pytest.raises(ModelLoadFailed, match="headers that are far too large"):
        unpacked(a_tar(tmp_path / "m.tar.gz", {f"{n}": b"" for n in range(12)}, change))


@pytest.mark.parametrize("content", [b"PK\3\4rubbish", b"\x1f\x8brubbish", b"\0" * 257 + b"ustar" + b"x" * 600])
def test_damaged_archives(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m"
    path.write_bytes(content)
    with pytest.raises(ModelLoadFailed, match="damaged"):
        unpacked(path)


def test_an_archive_cut_short(tmp_path: Path) -> None:
    path = a_tar(tmp_path / "m.tar.gz", {"a": bytes(range(256)) * 4000})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ModelLoadFailed, match="damaged"):
        unpacked(path)


def test_a_name_that_comes_twice(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "m.tar", "w") as packed:
        for _ in range(2):
            packed.addfile(tarfile.TarInfo("config.json"))
    with pytest.raises(ModelLoadFailed, match=r"config\.json is in the model's archive twice"):
        unpacked(tmp_path / "m.tar")


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"\x08\x07")
    assert sort_of(tmp_path / "m") is None
