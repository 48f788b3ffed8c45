import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InvalidInput
from workers.inference.signature import Port, Signature
from workers.inference.tensor_table import TensorColumns, TensorTable, chosen_columns
from workers.inference.tensors import Array

ONE = Signature((Port("x", "float32", ("n", 2)),))
TWO = Signature((Port("age", "float32", ("n", 1)), Port("town", "string", ("n",)), Port("flag", "bool", (None,))))


def read(path: Path, signature: Signature, *, rows: int = 1024, allow_nan: bool = False, **columns: list[str]) -> Array:
    parts = list(TensorTable(path, signature, columns or None, rows).parts(allow_nan=allow_nan))
    assert [first for _arrays, first, _share in parts] == [rows * number for number in range(len(parts))]
    assert parts[-1][2] == 1.0
    return np.concatenate([arrays[signature.inputs[0].name] for arrays, _first, _share in parts])


def a_csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def test_all_columns_make_the_one_input(tmp_path: Path) -> None:
    path = a_csv(tmp_path, "a;b\n1;2.5\n3;4\n")
    array = read(path, ONE)
    assert array.dtype == np.float32
    assert array.tolist() == [[1, 2.5], [3, 4]]
    packed = tmp_path / "table.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + path.read_bytes()))
    assert read(packed, ONE).tolist() == array.tolist()
    assert read(path, ONE, x=["b", "a"]).tolist() == [[2.5, 1], [4, 3]]


def test_columns_by_the_inputs_names(tmp_path: Path) -> None:
    path = a_csv(tmp_path, "town,age,flag,more\nUlm,3,true,x\nBonn,4,false,y\n")
    ((arrays, _first, _share),) = TensorTable(path, TWO, None).parts(allow_nan=False)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "age": [[3], [4]],
        "town": ["Ulm", "Bonn"],
        "flag": [True, False],
    }


def test_parts_have_the_rows_that_are_asked_for(tmp_path: Path) -> None:
    table = pa.table({"a": np.arange(10.0), "b": np.arange(10.0)})
    path = tmp_path / "table.parquet"
    pq.write_table(table, path, row_group_size=3)
    assert read(path, ONE, rows=4)[:, 0].tolist() == list(range(10))
    assert read(path, ONE, rows=1).shape == (10, 2)


def test_lists_of_a_parquet_file_are_a_further_axis(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"x": [[1.0, 2.0], [3.0, 4.0]]}), path)
    assert read(path, ONE).tolist() == [[1, 2], [3, 4]]
    picture = Signature((Port("x", "float32", ("n", 1, 2)),))
    assert read(path, picture).shape == (2, 1, 2)
    pq.write_table(pa.table({"x": [[1.0, 2.0], [3.0]]}), path)
    with pytest.raises(InvalidInput, match="'x' has lists of different lengths"):
        read(path, ONE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty, or has no header line"),
        ("a,b\n1\n", "can't be read as CSV or Parquet"),
        ("a,b\n1,x\n", "can't be read as CSV or Parquet: .*'?x'?"),
        ("a,b\n1,\n", "Column 'b' has no value in row 1"),
        ("a,b\n1,inf\n", r"'x' has inf at \[0, 1\]"),
        ("a,b,c\n1,2,3\n", r"the shape \[1, 3\], but axis 1 has to be 2"),
        ("a,a\n1,2\n", "more than one column 'a'"),
    ],
)
def test_tables_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(a_csv(tmp_path, text), ONE)


def test_missing_values_can_be_allowed(tmp_path: Path) -> None:
    assert np.isnan(read(a_csv(tmp_path, "a,b\n1,\n"), ONE, allow_nan=True)[0, 1])
    with pytest.raises(InvalidInput, match="'n' has no value in row 2"):
        read(a_csv(tmp_path, 'n\n1\n""\n'), Signature((Port("n", "int64", (None,)),)), allow_nan=True)


def test_a_place_counts_the_whole_tables_rows(tmp_path: Path) -> None:
    path = a_csv(tmp_path, "a,b\n" + "1,2\n" * 5 + "inf,2\n")
    with pytest.raises(InvalidInput, match=r"'x' has inf at \[5, 0\]"):
        read(path, ONE, rows=2)


def test_columns_that_can_not_be_told() -> None:
    with pytest.raises(InvalidInput, match=r"has no column 'town'; it has 'age', 'flag'\. Say by columns"):
        chosen_columns(TWO, ["age", "flag"], None)
    with pytest.raises(InvalidInput, match="has no input 'y'"):
        chosen_columns(ONE, ["a"], {"y": ["a"]})


@pytest.mark.parametrize("content", [b"PAR1 broken", "größe\n1\n".encode("latin-1"), b"\x1f\x8bbroken"])
def test_files_that_are_no_table(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="can't be read as CSV or Parquet"):
        read(path, ONE)


def test_what_no_model_takes(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"a": pa.array([0], pa.timestamp("s")), "b": [1]}), path)
    with pytest.raises(InvalidInput, match=r"'a' is of the type timestamp\[.*\], which no model takes"):
        read(path, ONE)


def test_outputs_become_columns(tmp_path: Path) -> None:
    columns = TensorColumns(tmp_path / "out.parquet")
    for _ in range(2):
        columns.write({"y": np.ones((2, 1)), "z": np.ones((2, 3)), "t": np.array(["a", "b"], object)}, 2)
    columns.close()
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.num_rows == 4
    assert table.to_pylist()[0] == {"y": 1.0, "z": [1.0, 1.0, 1.0], "t": "a"}
    with pytest.raises(InvalidInput, match=r"Output 'y' has the shape \[3\] for 2 rows"):
        TensorColumns(tmp_path / "other.parquet").write({"y": np.ones(3)}, 2)
