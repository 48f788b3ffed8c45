"""Every way in which a table can be wrong, with the whole sentence that its job fails with."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InvalidInput
from tasks.kinds.train_automl import TrainAutoML
from workers.runtimes.h2o_automl.table_check import check_tables

HEADER = "x,z,y\n"
N = 40


def rows(line: Callable[[int], str] = lambda n: f"{n},{n % 5},{'ab'[n % 2]}", count: int = N) -> str:
    return "".join(line(n) + "\n" for n in range(count))


GOOD = HEADER + rows()
NUMBERS = HEADER + rows(lambda n: f"{n},{n % 5},{n / 7:.4f}")


def changed(line: int, text: str, table: str = GOOD) -> str:
    """The table with another line in the place of one."""
    lines = table.split("\n")
    return "\n".join([*lines[: line - 1], text, *lines[line:]])


def refusal(directory: Path, content: bytes | str, other: bytes | str | None = None, **options: object) -> str:
    paths = []
    for name, table in (("dataset", content), ("other", other)):
        path = directory / name
        if table is not None:
            path.write_bytes(table.encode() if isinstance(table, str) else table)
        paths.append(path if table is not None else None)
    inputs = {"dataset": {"file": "d"}, **({} if other is None else {"test_dataset": {"file": "t"}})}
    spec = TrainAutoML.model_validate({"target": "y", **inputs, **options})
    with pytest.raises(InvalidInput) as caught:
        check_tables(spec, directory / "dataset", {"test": paths[1]} if paths[1] else {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        # Lines.
        (
            changed(7, "1,2"),
            "Line 7 of the dataset has 2 fields where the header has 3; quote fields that contain the separator.",
        ),
        (
            changed(7, "1,2", changed(9, "1,2,3,4", changed(12, "1"))),
            "Line 7 of the dataset has 2 fields where the header has 3, and 2 more lines don't fit either; "
            "quote fields that contain the separator.",
        ),
        (
            changed(7, '1,2,"a\n\nb"\n1,2'),
            "Line 10 of the dataset has 2 fields where the header has 3; quote fields that contain the separator.",
        ),
        (
            changed(7, "\n\n1,2"),
            "Line 9 of the dataset has 2 fields where the header has 3; quote fields that contain the separator.",
        ),
        (
            GOOD + "   \n",
            "Line 42 of the dataset has 1 field where the header has 3; quote fields that contain the separator.",
        ),
        (
            GOOD.replace("\n", "\r") + "1,2\r",
            "Line 42 of the dataset has 2 fields where the header has 3; quote fields that contain the separator.",
        ),
        (
            HEADER + rows(lambda n: f"{n},1,a,"),
            "Line 2 of the dataset has 4 fields where the header has 3, and 39 more lines don't fit either; "
            "quote fields that contain the separator.",
        ),
        (changed(5, '1,2,"a'), "Line 5 of the dataset has a quote that is never closed."),
        (
            changed(5, '1,"2"x,a'),
            "Line 5 of the dataset has text after a closing quote; double the quotes inside of a quoted field.",
        ),
        (
            '"x,z,y\n' + rows(count=20_000),
            "The header line of the dataset has a quote that is never closed, or text after a closing one.",
        ),
        (
            changed(5, "#1,2,a"),
            "Line 5 of the dataset begins with #, which H2O takes for a comment; remove the line, or let it begin "
            "otherwise.",
        ),
        (
            "#" + GOOD,
            "The header line of the dataset begins with #, which H2O takes for a comment; rename the column '#x'.",
        ),
        # Bytes.
        ("", "The dataset is empty."),
        (b"\xef\xbb\xbf", "The dataset is empty."),
        (
            GOOD.encode("utf-16"),
            "The dataset is UTF-16 text; set encoding to auto or utf-16, or save it as UTF-8.",
        ),
        (
            GOOD.encode("utf-16-le"),
            "The dataset is UTF-16 text without a byte order mark; set encoding to utf-16-le, or save it as UTF-8.",
        ),
        (
            GOOD.encode("utf-16-be"),
            "The dataset is UTF-16 text without a byte order mark; set encoding to utf-16-be, or save it as UTF-8.",
        ),
        # Numbers with a comma in a feature.
        (
            HEADER.replace(",", ";") + rows(lambda n: f"{n};{n},5;{'ab'[n % 2]}"),
            "Column 'z' of the dataset has '0,5' in line 2, a number with a comma, which H2O takes for a text; write "
            "numbers as 1234.5, or name the column an enum in types if it holds categories.",
        ),
        (
            changed(30, "1,é,a").encode("latin-1"),
            "The dataset is not UTF-8 text: line 30 has the byte 0xe9 in column 'z'; set encoding to what it was "
            "saved in, such as windows-1252, or save it as UTF-8.",
        ),
        (
            GOOD.replace("z", "größe").encode("latin-1"),
            "The dataset is not UTF-8 text: line 1 has the byte 0xf6; set encoding to what it was "
            "saved in, such as windows-1252, or save it as UTF-8.",
        ),
        (
            GOOD.encode() + b"1,2,\xc3",
            "The dataset is not UTF-8 text: line 42 has the byte 0xc3 in column 'y'; set encoding to what it was "
            "saved in, such as windows-1252, or save it as UTF-8.",
        ),
        (changed(30, "1,\0,a"), "Line 30 of the dataset holds a NUL byte in column 'z'; remove it."),
        (bytes(range(256)) * 40, "The dataset is a binary file, not a table; upload CSV or Parquet."),
        (
            b"PK\x03\x04" + bytes(50),
            "The dataset is a ZIP archive or an Excel workbook, not a table; upload CSV or Parquet.",
        ),
        (b"PAR1" + bytes(50), "The dataset can't be read as Parquet; it is damaged or incomplete."),
        # Columns.
        (HEADER, "The dataset has a header but no rows."),
        (GOOD.replace("x,z,y", "x,x,y"), "The dataset has more than one column 'x'; rename one of them."),
        (GOOD.replace("x,z,y", "x,,y"), "Column 2 of the dataset has no name in the header line."),
        (
            rows(lambda n: f"{n},{n % 5},{n % 2}"),
            "The first line of the dataset holds only numbers (0, 0, 0): add a header line with the columns' names.",
        ),
        (
            "y\n" + rows(lambda n: str(n % 2)),
            "The dataset has only the column 'y', and nothing to predict from; columns are separated by comma, "
            "semicolon, tab or |.",
        ),
        (
            GOOD.replace("x,z,y", "x,z,Y "),
            "The dataset has no column 'y' for the target; did you mean 'Y '? Its columns are: x, z, Y .",
        ),
        (
            GOOD.replace("x,z,y", "x,z,w"),
            "The dataset has no column 'y' for the target; its columns are: x, z, w.",
        ),
        (
            HEADER + rows(lambda n: f"1,,{'ab'[n % 2]}"),
            "Every feature has the same value in all rows, so there is nothing to learn from.",
        ),
        # The target.
        (HEADER + rows(lambda n: f"{n},1,a"), "The target 'y' has only one class ('a')."),
        (HEADER + rows(lambda n: f"{n},1,1"), "The target 'y' has only one class ('1')."),
        (
            HEADER + rows(lambda n: f"{n},1,2.5"),
            "The target 'y' has the same value in every row, so there is nothing to learn.",
        ),
        (HEADER + rows(lambda n: f"{n},1,"), "The target 'y' is missing in every row."),
        (HEADER + rows(lambda n: f"{n},1,NA"), "The target 'y' is missing in every row."),
        (
            HEADER + rows(lambda n: f"{n},1,id{n}", count=80),
            "The target 'y' has 80 different values, too many for classes; choose a column with fewer.",
        ),
        (
            changed(23, "1,2,abc", NUMBERS),
            "The target 'y' has 'abc' in line 23, which isn't written as a plain number; correct it, or leave it "
            "empty. If the values are classes, set problem to classification.",
        ),
        (
            HEADER.replace(",", ";") + rows(lambda n: f"{n};1;{n},5"),
            "The target 'y' has '0,5' in line 2, which isn't written as a plain number; write numbers as 1234.5, "
            "with a point and no other signs. If the values are classes, set problem to classification.",
        ),
        (
            HEADER + rows(lambda n: f'{n},1,"1,{n:03}"'),
            "The target 'y' has '1,000' in line 2, which isn't written as a plain number; write numbers as 1234.5, "
            "with a point and no other signs. If the values are classes, set problem to classification.",
        ),
        (
            changed(4, "1,2,inf", NUMBERS),
            "The target 'y' has 'inf' in line 4, which isn't written as a plain number; correct it, or leave it "
            "empty. If the values are classes, set problem to classification.",
        ),
        (
            HEADER + rows(lambda n: f"{n},1,{('0', '1', '1.0')[n % 3]}"),
            "The target 'y' has both '1' and '1.0', which H2O takes for two classes; write the number the same way "
            "everywhere. If they are different classes, set problem to classification.",
        ),
        (
            HEADER + rows(count=12),
            "The dataset has 12 rows with a value of the target 'y'; training and testing need at least 20.",
        ),
    ],
)
def test_the_sentence(tmp_path: Path, content: bytes | str, sentence: str) -> None:
    assert refusal(tmp_path, content) == sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"features": ["x", "Z"]}, "The dataset has no column 'Z'; did you mean 'z'? Its columns are: x, z, y."),
        ({"weights_column": "w"}, "The dataset has no column 'w'; its columns are: x, z, y."),
        (
            {"problem": "regression"},
            "Regression needs numbers in the target 'y', but the dataset has 'a' in line 2.",
        ),
        (
            {"sort_metric": "RMSLE"},
            "The target 'y' makes this classification, and sort_metric RMSLE doesn't apply to classification.",
        ),
        (
            {"nfolds": 33},
            "Cross-validation in 33 folds (nfolds) needs at least as many rows, but 32 of the dataset's are for "
            "training; use fewer folds or more rows.",
        ),
        (
            {"split": {"ratios": [0.1, 0.9]}},
            "Cross-validation in 5 folds (nfolds) needs at least as many rows, but 4 of the dataset's are for "
            "training; use fewer folds or more rows.",
        ),
        (
            {"monotone_constraints": {"q": 1}},
            "monotone_constraints names 'q', which is not one of the features.",
        ),
    ],
)
def test_the_sentence_for_options(tmp_path: Path, options: dict[str, object], sentence: str) -> None:
    assert refusal(tmp_path, GOOD, **options) == sentence


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ("", "The test_dataset is empty."),
        (HEADER, "The test_dataset has a header but no rows."),
        ("x,z\n1,2\n", "The test_dataset has no column 'y' for the target; its columns are: x, z."),
        ("x,y\n1,a\n", "The test_dataset has no column 'z'; its columns are: x, y."),
        (
            changed(17, "1,2,c"),
            "The test_dataset has the class 'c' in 'y' (line 17), which the dataset doesn't have.",
        ),
        (HEADER + "1,2,\n", "The target 'y' is missing in every row of the test_dataset."),
        (
            changed(9, "red,2,a"),
            "Column 'x' of the test_dataset has the text 'red' in line 9, but only numbers in the dataset.",
        ),
    ],
)
def test_the_sentence_for_another_table(tmp_path: Path, other: str, sentence: str) -> None:
    assert refusal(tmp_path, GOOD, other) == sentence


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (HEADER, "The validation_dataset has a header but no rows."),
        (
            changed(17, "1,2,c"),
            "The validation_dataset has the class 'c' in 'y' (line 17), which the dataset doesn't have.",
        ),
        ("x,y\n1,a\n", "The validation_dataset has no column 'z'; its columns are: x, y."),
    ],
)
def test_the_sentence_for_a_validation_table(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "dataset").write_text(GOOD)
    (tmp_path / "other").write_text(content)
    spec = TrainAutoML.model_validate({"target": "y", "dataset": {"file": "d"}, "validation_dataset": {"file": "v"}})
    with pytest.raises(InvalidInput) as caught:
        check_tables(spec, tmp_path / "dataset", {"validation": tmp_path / "other"})
    assert str(caught.value) == sentence


def test_the_sentence_for_a_text_among_another_table_s_numbers(tmp_path: Path) -> None:
    spoilt = changed(9, "1,2,much", NUMBERS)
    sentence = "Regression needs numbers in the target 'y', but the test_dataset has 'much' in line 9."
    assert refusal(tmp_path, NUMBERS, spoilt) == sentence


def test_the_sentence_for_a_file_that_is_gone(tmp_path: Path) -> None:
    spec = TrainAutoML.model_validate({"target": "y", "dataset": {"file": "d"}})
    with pytest.raises(InvalidInput, match=r"^The file of the dataset is no longer in the store; upload it again\.$"):
        check_tables(spec, tmp_path / "gone", {})


PLAIN = {"x": list(range(N)), "y": ["ab"[n % 2] for n in range(N)]}


@pytest.mark.parametrize(
    ("columns", "codec", "sentence"),
    [
        (
            PLAIN,
            "lz4",
            "The dataset is compressed with lz4, which H2O can't read; write it with snappy, gzip, zstd or none.",
        ),
        (
            PLAIN,
            "brotli",
            "The dataset is compressed with brotli, which H2O can't read; write it with snappy, gzip, zstd or none.",
        ),
        (
            {**PLAIN, "y": ["a"] * N},
            "snappy",
            "The target 'y' has only one class ('a').",
        ),
        (
            {**PLAIN, "w": pa.array([1.5] * N, pa.float16())},
            "snappy",
            "Column 'w' of the dataset holds halffloat, which H2O misreads; write float32.",
        ),
        (
            {**PLAIN, "w": [b"1"] * N},
            "snappy",
            "Column 'w' of the dataset holds binary, which is no plain value; drop it.",
        ),
        (
            {**PLAIN, "w": pa.array([2**63 + n for n in range(N)], pa.uint64())},
            "snappy",
            "Column 'w' of the dataset has 9223372036854775808 in row 1, and H2O reads whole numbers only below 2^63; "
            "write it as float64.",
        ),
        (
            {"__index_level_0__": list(range(N)), "x": [1] * N, "y": PLAIN["y"]},
            "snappy",
            "Every feature has the same value in all rows, so there is nothing to learn from.",
        ),
    ],
)
def test_the_sentence_for_parquet(tmp_path: Path, columns: dict[str, object], codec: str, sentence: str) -> None:
    table = pa.table(columns)
    if "__index_level_0__" in columns:
        table = table.replace_schema_metadata({"pandas": '{"index_columns": ["__index_level_0__"]}'})
    pq.write_table(table, tmp_path / "table", compression=codec)
    assert refusal(tmp_path, (tmp_path / "table").read_bytes()) == sentence
