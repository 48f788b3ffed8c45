"""What bad data does, before anything goes to a cluster."""

import datetime
import gzip
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InvalidInput
from tasks.kinds.train_automl import TrainAutoML
from tasks.kinds.train_h2o_model import TrainH2OModel
from tasks.tables.column_facts import TargetFacts
from tasks.tables.parquet_table import copy_as
from tasks.tabular import ColumnType
from workers.runtimes.h2o_automl.table_check import CheckedData, check_tables

ROWS = "".join(f"{n},{n % 5},{'ab'[n % 2]}\n" for n in range(30))


def check(path: Path, content: bytes | str, target: str = "y", **options: object) -> CheckedData:
    file = path / "table"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return check_file(file, target, **options)


def check_file(file: Path, target: str = "y", **options: object) -> CheckedData:
    spec = TrainAutoML.model_validate({"dataset": {"file": "f"}, "target": target, **options})
    return check_tables(spec, file, {})


def test_a_good_table_is_understood(tmp_path: Path) -> None:
    found = check(tmp_path, "x,z,y\n" + ROWS)
    assert (found.dataset.rows, found.dataset.columns, found.dataset.separator) == (30, ("x", "z", "y"), ",")
    assert (found.problem, found.classes, found.features) == ("classification", 2, ("x", "z"))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(tmp_path: Path, separator: str) -> None:
    found = check(tmp_path, ("x,z,y\n" + ROWS).replace(",", separator))
    assert found.dataset.separator == separator


def test_separators_inside_quotes_are_text(tmp_path: Path) -> None:
    rows = "".join(f'"a,{n}",{n % 2}\n' for n in range(30))
    assert check(tmp_path, "x,y\n" + rows).dataset.columns == ("x", "y")


def test_gzip_and_byte_order_marks_are_understood(tmp_path: Path) -> None:
    marked = b"\xef\xbb\xbf" + ("x,z,y\r\n" + ROWS.replace("\n", "\r\n")).encode()
    assert check(tmp_path, gzip.compress(marked)).dataset.columns == ("x", "z", "y")


def test_a_table_longer_than_the_sample_is_read_to_its_end(tmp_path: Path) -> None:
    rows = "".join(f"{n},{'word ' * 5},{n % 2}\n" for n in range(20_000))
    assert check(tmp_path, "x,z,y\n" + rows).dataset.rows == 20_000


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "The dataset is empty."),
        ("\n\n", "The dataset is empty."),
        ("x,z,y\n", "has a header but no rows"),
        ("x,z,w\n" + ROWS, "has no column 'y' for the target; its columns are: x, z, w."),
        ("x,x,y\n" + ROWS, "more than one column 'x'"),
        ("x,,y\n" + ROWS, "Column 2 of the dataset has no name"),
        ("1,2,3\n" + ROWS, "holds only numbers"),
        ("y\n" + "1\n2\n" * 20, "has only the column 'y'"),
        ("x,z,y\n" + ROWS + "1,2\n", "Line 32 of the dataset has 2 fields where the header has 3"),
        ("x,z,y\n1,2,a,b\n" + ROWS, "Line 2 of the dataset has 4 fields"),
        (
            'x,z,y\n"1,2,a\n' + ROWS + "x" * 200_000,
            "Line 2 of the dataset has a quote that is never closed.",
        ),
        ("x,z,y\n" + "1,2,a\n" * 30, "Every feature has the same value"),
        ("x,z,y\n" + "".join(f"{n},1,a\n" for n in range(30)), "has only one class ('a')"),
        ("x,z,y\n" + "".join(f"{n},1,\n" for n in range(30)), "is missing in every row"),
        ("x,z,y\n" + ROWS[: ROWS.index("10,")], "The dataset has 10 rows with a value of the target 'y'"),
        ("x,z,y\n" + "".join(f"{n},1,id {n}\n" for n in range(200)), "has 200 different values, too many for classes"),
        ("x,z,y\n" + "".join(f"{n},1,id {n}\n" for n in range(2000)), "more than 1000 different values"),
        (
            "x,é,y\n".encode("latin-1") + ROWS.encode(),
            "is not UTF-8 text: line 1 has the byte 0xe9; set",
        ),
        (("x,z,y\n" + ROWS).encode("utf-16"), "is UTF-16 text"),
        (b"PK\x03\x04" + b"x" * 50, "is a ZIP archive or an Excel workbook"),
        (b"\x7fELF\x00\x00\x00", "is a binary file"),
        (b"%PDF-1.7", "is a PDF document"),
        (b"\x1f\x8b" + b"junk" * 10, "can't be unpacked"),
        (gzip.compress(ROWS.encode(), mtime=0)[:-12], "can't be unpacked"),
        (gzip.compress(b"\x7fELF\x00\x00", mtime=0), "is a binary file"),
        (b"PAR1junk", "can't be read as Parquet"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: bytes | str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check(tmp_path, content)
    assert complaint in str(caught.value)


def test_a_late_byte_that_is_no_utf8_is_found(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is not UTF-8 text: line 150002 has the byte 0xe9 in column 'z'"):
        check(tmp_path, b"x,z,y\n" + ROWS.encode() * 5000 + "1,é,a\n".encode("latin-1"))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"features": ["x", "q"]}, "has no column 'q'"),
        ({"weights_column": "w"}, "has no column 'w'"),
        ({"problem": "regression"}, "Regression needs numbers in the target 'y', but the dataset has 'a' in line 2."),
        ({"sort_metric": "MAE"}, "makes this classification, and sort_metric MAE doesn't apply"),
        ({"monotone_constraints": {"q": 1}}, "monotone_constraints names 'q'"),
        ({"nfolds": 50}, "in 50 folds (nfolds) needs at least as many rows, but 24 of the dataset's are for training"),
        ({"balance_classes": True, "class_sampling_factors": [1, 2, 3]}, "has 3 numbers for 2 classes"),
    ],
)
def test_options_that_dont_fit_the_data_are_named(tmp_path: Path, options: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check(tmp_path, "x,z,y\n" + ROWS, "y", **options)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (["red", "green"], "classification"),
        (["true", "false"], "classification"),
        (["0", "1"], "classification"),
        (["1.0", "2.0", "3.0"], "classification"),
        ([str(n) for n in range(20)], "classification"),
        ([str(n) for n in range(21)], "regression"),
        (["0.5", "1.5"], "regression"),
        (["1", "2", ""], "classification"),
    ],
)
def test_auto_means_classes_for_words_and_few_whole_numbers(tmp_path: Path, values: list[str], problem: str) -> None:
    rows = "".join(f"{n},{n % 7},{values[n % len(values)]}\n" for n in range(200))
    assert check(tmp_path, "x,z,y\n" + rows).problem == problem


def test_a_constant_number_teaches_nothing(tmp_path: Path) -> None:
    rows = "".join(f"{n},1,2.5\n" for n in range(30))
    with pytest.raises(InvalidInput, match="has the same value in every row"):
        check(tmp_path, "x,z,y\n" + rows)


def test_other_tables_must_fit_the_first(tmp_path: Path) -> None:
    first, other = tmp_path / "first.csv", tmp_path / "other.csv"
    first.write_text("x,z,y\n" + ROWS)
    spec = TrainAutoML.model_validate({"dataset": {"file": "f"}, "target": "y", "test_dataset": {"file": "t"}})
    for content, complaint in (
        ("x,y\n1,a\n", "The test_dataset has no column 'z'"),
        ("x,z,y\n1,2,c\n", "The test_dataset has the class 'c'"),
        ("x,z,y\n1,2,\n", "missing in every row of the test_dataset"),
        ("x,z,y\n1,2,a\nred,2,a\n", "Column 'x' of the test_dataset has the text 'red' in line 3, but only numbers"),
    ):
        other.write_text(content)
        with pytest.raises(InvalidInput) as caught:
            check_tables(spec, first, {"test": other})
        assert complaint in str(caught.value)


def target_of(tmp_path: Path, values: list[str]) -> TargetFacts:
    rows = "".join(f"{n},{n % 7},{values[n % len(values)]}\n" for n in range(60))
    return check(tmp_path, "x,z,y\n" + rows).dataset.target


def test_words_for_missing_values_are_classes_among_texts_as_in_h2o(tmp_path: Path) -> None:
    found = target_of(tmp_path, ["a", "b", "n/a", ""])
    assert (set(found.counts), found.present, found.missing) == ({"a", "b", "n/a"}, 45, 15)


def test_words_for_missing_values_are_missing_among_numbers(tmp_path: Path) -> None:
    found = target_of(tmp_path, ["0", "1", "NA", ""])
    assert (set(found.counts), found.present, found.missing, set(found.words)) == ({"0", "1"}, 30, 30, {"NA"})


@pytest.mark.parametrize("text", ["1_000", "inf", "-Infinity", "0x10", "\u0661", "1e400", "1d"])
def test_only_what_h2o_reads_as_a_number_is_one(text: str) -> None:
    facts = TargetFacts()
    facts.see(pa.array([text]))
    assert not facts.numeric


@pytest.mark.parametrize("text", ["1", "+1.", "-.5", "1e5", "1.5E-3", "7 "])
def test_numbers_are_numbers(text: str) -> None:
    facts = TargetFacts()
    facts.see(pa.array([text]))
    assert facts.numeric


@pytest.mark.parametrize(
    ("classes", "options", "complaint"),
    [
        (3, {"sort_metric": "AUC"}, "has 3 classes, and sort_metric AUC applies to two only"),
        (3, {"stopping_metric": "lift_top_group"}, "stopping_metric lift_top_group applies to two only"),
        (3, {"distribution": "bernoulli"}, "distribution bernoulli applies to two only"),
        (3, {"monotone_constraints": {"x": 1}}, "monotone_constraints apply to two only"),
        (2, {"distribution": "multinomial"}, "distribution multinomial needs more than two"),
    ],
)
def test_options_that_dont_fit_the_number_of_classes_are_named(
    tmp_path: Path, classes: int, options: dict[str, object], complaint: str
) -> None:
    rows = "".join(f"{n},{n % 7},{'abc'[n % classes]}\n" for n in range(60))
    with pytest.raises(InvalidInput) as caught:
        check(tmp_path, "x,z,y\n" + rows, **options)
    assert complaint in str(caught.value)


class TestParquet:
    def test_numbers_that_are_none_are_missing(self, tmp_path: Path) -> None:
        values = [float("nan"), float("inf"), 1.5, 2.5, 3.25] * 10
        found = check_file(self.write(tmp_path, {"x": list(range(50)), "y": values})).dataset.target
        assert (found.present, found.missing, found.highest) == (30, 20, 3.25)

    def test_texts_where_the_dataset_has_numbers_are_refused(self, tmp_path: Path) -> None:
        first = tmp_path / "first.csv"
        first.write_text("x,y\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(30)))
        other = self.write(tmp_path, {"x": ["1", None, "red"], "y": ["a", "b", "a"]})
        spec = TrainAutoML.model_validate({"dataset": {"file": "f"}, "target": "y", "test_dataset": {"file": "t"}})
        with pytest.raises(InvalidInput, match="Column 'x' of the test_dataset has the text 'red'"):
            check_tables(spec, first, {"test": other})

    def write(self, path: Path, columns: dict[str, object], compression: str = "snappy") -> Path:
        file = path / "table.parquet"
        pq.write_table(pa.table(columns), file, compression=compression)
        return file

    def test_a_good_table_is_understood(self, tmp_path: Path) -> None:
        file = self.write(tmp_path, {"x": list(range(30)), "y": [n % 2 == 0 for n in range(30)]})
        found = check_file(file)
        assert (found.dataset.rows, found.dataset.separator, found.problem) == (30, None, "classification")

    def test_whole_numbers_mean_classes(self, tmp_path: Path) -> None:
        numbers = self.write(tmp_path, {"x": list(range(30)), "y": [n % 3 for n in range(30)]})
        assert (check_file(numbers).problem, check_file(numbers).classes) == ("classification", 3)
        amounts = self.write(tmp_path, {"x": list(range(30)), "y": [n / 7 for n in range(30)]})
        assert check_file(amounts).problem == "regression"

    @pytest.mark.parametrize("codec", ["brotli", "lz4"])
    def test_codecs_that_h2o_misreads_are_refused(self, tmp_path: Path, codec: str) -> None:
        file = self.write(tmp_path, {"x": list(range(30)), "y": [n % 2 for n in range(30)]}, codec)
        with pytest.raises(InvalidInput, match=f"compressed with {codec}"):
            check_file(file)

    @pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd"])
    def test_the_others_are_read(self, tmp_path: Path, codec: str) -> None:
        file = self.write(tmp_path, {"x": list(range(30)), "y": [n % 2 for n in range(30)]}, codec)
        assert check_file(file).dataset.rows == 30

    def test_nested_values_are_refused(self, tmp_path: Path) -> None:
        file = self.write(tmp_path, {"x": [[n] for n in range(30)], "y": [n % 2 for n in range(30)]})
        with pytest.raises(InvalidInput, match="Column 'x' of the dataset holds list"):
            check_file(file)

    def test_missing_targets_and_constants_are_refused(self, tmp_path: Path) -> None:
        gone = self.write(tmp_path, {"x": list(range(30)), "y": pa.array([None] * 30, pa.float64())})
        with pytest.raises(InvalidInput, match="missing in every row"):
            check_file(gone)
        constant = self.write(tmp_path, {"x": [1] * 30, "y": [n % 2 for n in range(30)]})
        with pytest.raises(InvalidInput, match="Every feature has the same value"):
            check_file(constant)


def test_types_name_columns_of_the_table(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no column 'zz'"):
        check(tmp_path, "x,z,y\n" + ROWS, types={"zz": "enum"})


def test_a_string_is_no_feature(tmp_path: Path) -> None:
    assert check(tmp_path, "x,z,y\n" + ROWS, types={"x": "string"}).features == ("z",)
    with pytest.raises(InvalidInput, match="no column left to predict from"):
        check(tmp_path, "x,z,y\n" + ROWS, types={"x": "string", "z": "string"})


def test_a_text_where_numbers_are_asked_for_is_named(tmp_path: Path) -> None:
    rows = ROWS + "1,many,a\n"
    with pytest.raises(InvalidInput, match="makes column 'z' numeric, but the dataset has the text 'many' in line 32"):
        check(tmp_path, "x,z,y\n" + rows, types={"z": "numeric"})


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "2.5", None], "numeric", [1.0, 2.5, None]),
        ([1.0, None, 2.0], "enum", ["1", None, "2"]),
        ([1.5, None, 2.0], "enum", ["1.5", None, "2"]),
        ([True, False, None], "enum", ["true", "false", None]),
        (["2026-01-01", None, "2026-01-02 03:00"], "time", [1767225600000, None, 1767322800000]),
        ([1767225600000, None, 0], "time", [1767225600000, None, 0]),
        ([datetime.datetime(2026, 1, 1), None], "numeric", [1767225600000.0, None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), "string", ["a", "b", "a"]),
    ],
)
def test_columns_of_parquet_are_retyped(tmp_path: Path, values: object, kind: ColumnType, expected: object) -> None:
    pq.write_table(pa.table({"x": values, "y": list(range(len(values)))}), tmp_path / "a")  # type: ignore[arg-type]
    copy_as(tmp_path / "a", tmp_path / "b", {"x": kind})
    column = pq.read_table(tmp_path / "b").column("x")
    assert (column.cast(pa.int64()) if kind == "time" else column).to_pylist() == expected


@pytest.mark.parametrize(("values", "kind"), [(["a", "1"], "numeric"), (["soon"], "time"), ([True], "time")])
def test_what_can_not_be_retyped_is_named(tmp_path: Path, values: object, kind: ColumnType) -> None:
    pq.write_table(pa.table({"x": values}), tmp_path / "a")
    with pytest.raises(InvalidInput, match=f"types makes column 'x' {kind}, but its values of type"):
        copy_as(tmp_path / "a", tmp_path / "b", {"x": kind})


@pytest.mark.parametrize("role", ["validation", "test", "blending", "leaderboard"])
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("x,y\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(30)), "has no column 'z'"),
        ("x,z,y\n", "has a header but no rows"),
        ("x,z,y\n" + ROWS + "1,2,c\n", "has the class 'c' in 'y' (line 32), which the dataset doesn't have"),
        ("x,z,y\n" + ROWS + "one,2,a\n", "has the text 'one' in line 32, but only numbers in the dataset"),
        ("x,z,y\n1,2,\n", "The target 'y' is missing in every row of the"),
        ("x,z,y\n" + ROWS + "1,2\n", "has 2 fields where the header has 3"),
    ],
)
def test_every_further_table_is_checked_against_the_dataset(
    tmp_path: Path, role: str, content: str, complaint: str
) -> None:
    first, other = tmp_path / "first", tmp_path / "other"
    first.write_text("x,z,y\n" + ROWS)
    other.write_text(content)
    spec = TrainAutoML.model_validate({"dataset": {"file": "f"}, "target": "y", f"{role}_dataset": {"file": "o"}})
    with pytest.raises(InvalidInput, match=re.escape(complaint)) as caught:
        check_tables(spec, first, {role: other})
    assert f"{role}_dataset" in str(caught.value)


def unsupervised(**options: object) -> TrainH2OModel:
    spec = {"dataset": {"file": "f"}, "algo": "KMeans", "parameters": {"k": 2}, **options}
    return TrainH2OModel.model_validate(spec)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_without_a_target_every_column_is_a_feature(tmp_path: Path, form: str) -> None:
    file = tmp_path / "table"
    if form == "csv":
        file.write_text("x,z,y\n" + ROWS)
    else:
        pq.write_table(pa.table({"x": list(range(30)), "z": [n % 5 for n in range(30)], "y": list("ab") * 15}), file)
    found = check_tables(unsupervised(), file, {"test": file})
    assert (found.problem, found.classes, found.features) == ("unsupervised", 0, ("x", "z", "y"))
    assert found.dataset.varying == {"x", "z", "y"}
    assert found.response(None) == ""
    assert check_tables(unsupervised(fold_column="z"), file, {}).features == ("x", "y")


@pytest.mark.parametrize(
    ("content", "options", "complaint"),
    [
        ("x,z\n1,2\n3,4\n", {}, "The dataset has 2 rows; training and testing need at least 20."),
        ("x,z\n" + "1,2\n" * 30, {}, "nothing to learn from"),
        ("x,z\n" + "1,2\n" * 30, {"types": {"x": "string", "z": "string"}}, "no column left to learn from"),
        ("x,z,y\n" + ROWS, {"features": ["w"]}, "has no column 'w'"),
        ("x,z,y\n" + ROWS, {"parameters": {"k": 2, "nfolds": 25}}, "in 25 folds (nfolds) needs at least as many rows"),
    ],
)
def test_data_without_a_target_is_checked_too(
    tmp_path: Path, content: str, options: dict[str, object], complaint: str
) -> None:
    file = tmp_path / "table"
    file.write_text(content)
    with pytest.raises(InvalidInput, match=re.escape(complaint)):
        check_tables(unsupervised(**options), file, {})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"algo": "NaiveBayes"}, "makes this regression, and NaiveBayes predicts classes only"),
        ({"algo": "GLM", "parameters": {"family": "binomial"}}, "family binomial doesn't apply to regression"),
        ({"algo": "GAM", "parameters": {"gam_columns": [["q"]]}}, "gam_columns names 'q', which is not one of"),
    ],
)
def test_a_parameter_that_the_data_belies_is_refused(
    tmp_path: Path, options: dict[str, object], complaint: str
) -> None:
    file = tmp_path / "table"
    file.write_text("x,z,y\n" + "".join(f"{n},{n % 5},{n / 7}\n" for n in range(30)))
    spec = TrainH2OModel.model_validate({"dataset": {"file": "f"}, "target": "y", **options})
    with pytest.raises(InvalidInput, match=re.escape(complaint)):
        check_tables(spec, file, {})
