import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.tables import look
from tasks.tables.look import look_at
from tasks.tables.schema import TableColumn, TableSchema


def seen(directory: Path, content: bytes | str) -> TableSchema:
    path = directory / "table"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return look_at(path)


def rows(*columns: str, count: int = 60) -> str:
    """Lines with the columns' values by turns; ``*`` stands for the line's number."""
    cells = [column.split() for column in columns]
    return "".join(",".join(c[n % len(c)].replace("*", str(n)) for c in cells) + "\n" for n in range(count))


def column(directory: Path, values: str) -> TableColumn:
    (found, _other) = seen(directory, "x,y\n" + rows(values, "a b")).columns
    return found


def test_a_table_is_shown(tmp_path: Path) -> None:
    table = "size;colour;day\r\n" + rows("1 2.5 NA", "red blue", "2026-01-02 2026-02-03").replace(",", ";")
    found = seen(tmp_path, b"\xef\xbb\xbf" + table.encode())
    assert (found.format, found.encoding, found.separator, found.problem) == ("csv", "utf-8", ";", None)
    assert (found.rows, found.rows_are_exact, found.column_count) == (60, True, 3)
    size, colour, day = found.columns
    assert (size.type, colour.type, day.type) == ("numeric", "enum", "time")
    assert (size.missing_share, size.examples) == (0.3333, ["1", "2.5"])
    assert colour == TableColumn(name="colour", type="enum", missing_share=0, examples=["red", "blue"])


def test_other_encodings_and_archives(tmp_path: Path) -> None:
    found = seen(tmp_path, gzip.compress(("größe,y\n" + rows("*", "a b")).encode("utf-16")))
    assert (found.compression, found.encoding, found.problem) == ("gzip", "utf-16-le", None)
    assert [each.name for each in found.columns] == ["größe", "y"]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("text", ["a b", '"a,\nb" c'])
def test_of_a_large_file_the_beginning_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, text: str
) -> None:
    monkeypatch.setattr(look, "WHOLE_BYTES", 1001)
    content = ("x,y\n" + rows("*", text.replace("\n", "⏎"), count=500).replace("⏎", "\n")).encode()
    found = seen(tmp_path, gzip.compress(content) if packed else content)
    assert found.problem is None
    assert not found.rows_are_exact
    assert 50 < found.rows < 500
    assert len(found.columns) == 2


@pytest.mark.parametrize(
    ("values", "kind", "note"),
    [
        ("1 2 3", "numeric", None),
        ("1 2 3 4 few", "numeric", "'few' in row 5 is no number and will count as missing"),
        ("id*", "string", "Nearly every row has a text of its own"),
        ("*;5", "string", "'0,5' in row 1 is a number with a comma"),
        ("24.12.202* 1.1.2026", "enum", "H2O doesn't read times written like this"),
        ("2026-01-01T10:00:0*", "string", "H2O doesn't read times written like this"),
        ("€5 €7", "enum", "H2O takes numbers written like this for texts"),
        ("2026-01-01 soon 2026-01-02", "time", None),
    ],
)
def test_what_may_not_be_meant_is_noted(tmp_path: Path, values: str, kind: str, note: str | None) -> None:
    (found, _other) = seen(
        tmp_path,
        "x,y\n"
        + "".join(
            f'"{line.split(",")[0].replace(";", ",")}",{line.split(",")[1]}\n'
            for line in rows(values, "a b").splitlines()
        ),
    ).columns
    assert found.type == kind
    assert (found.note is None) if note is None else (found.note or "").startswith(note)


@pytest.mark.parametrize(
    ("content", "problem", "columns"),
    [
        ("", "The dataset is empty.", 0),
        ("x,y\n", "The dataset has a header but no rows.", 2),
        ("x,y\n1,2\n1\n", "Line 3 of the dataset has 1 field where the header has 2; quote fields that contain", 2),
        ("x,y\n1,é\n".encode("latin-1"), "The dataset is not UTF-8 text: line 2 has the byte 0xe9 in column 'y'", 2),
        ("x,x\n1,2\n", "The dataset has more than one column 'x'", 0),
        (b"PK\x03\x04" + bytes(40), "The dataset is a ZIP archive or an Excel workbook", 0),
        (b"\x1f\x8bjunk", "The dataset can't be unpacked", 0),
        (b"PAR1junk", "The dataset can't be read as Parquet", 0),
    ],
)
def test_what_is_wrong_is_said_as_a_job_would(tmp_path: Path, content: bytes | str, problem: str, columns: int) -> None:
    found = seen(tmp_path, content)
    assert (found.problem or "").startswith(problem)
    assert (found.column_count, found.rows) == (columns, 0)


def test_parquet_is_shown(tmp_path: Path) -> None:
    table = pa.table({"n": [1, None, 3], "text": ["a", "b", "a"], "yes": [True, False, None]})
    pq.write_table(table, tmp_path / "table")
    found = look_at(tmp_path / "table")
    assert (found.format, found.rows, found.separator, found.problem) == ("parquet", 3, None, None)
    assert [(each.name, each.type, each.missing_share) for each in found.columns] == [
        ("n", "numeric", 0.3333),
        ("text", "enum", 0.0),
        ("yes", "enum", 0.3333),
    ]
    assert found.columns[0].examples == ["1", "3"]


@pytest.mark.parametrize(
    ("values", "codec", "problem"),
    [
        ([[1]], "snappy", "Column 'x' of the dataset holds list"),
        ([1], "brotli", "The dataset is compressed with brotli"),
        ([None], "snappy", "Column 'x' of the dataset holds no value at all; drop it."),
        (pa.array([], pa.int64()), "snappy", "The dataset has a header but no rows."),
    ],
)
def test_parquet_that_can_not_be_read(tmp_path: Path, values: object, codec: str, problem: str) -> None:
    pq.write_table(pa.table({"x": values}), tmp_path / "table", compression=codec)
    assert (look_at(tmp_path / "table").problem or "").startswith(problem)


def test_an_answer_is_never_long(tmp_path: Path) -> None:
    names = [f"{n}{'x' * 5000}" for n in range(100)]
    found = seen(tmp_path, ",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    assert (found.column_count, len(found.columns)) == (100, 39)
    found = seen(tmp_path, ",".join([*names, names[0]]) + "\n" + ",".join("1" for _ in range(101)) + "\n")
    assert len(found.problem or "") == 2000


def test_what_no_database_holds_is_not_shown(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": ["a\0b"]}), tmp_path / "table")
    assert look_at(tmp_path / "table").columns[0].examples == ["a\ufffdb"]


def test_a_process_of_its_own_prints_it(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("x,y\n1,a\n")
    command = [sys.executable, "-P", "-m", "tasks.tables", str(tmp_path / "table")]
    done = subprocess.run(command, env={}, capture_output=True, check=True)
    assert TableSchema.model_validate(json.loads(done.stdout)).rows == 1


def test_it_ends_itself_when_it_grows_too_large(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("x,y\n1,a\n")
    program = (
        "import sys; from tasks.tables import __main__ as look; look.MOST_MEMORY_BYTES = 1 << 20; "
        f"look.main([{str(tmp_path / 'table')!r}])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "more than 1 MB of memory\n")
