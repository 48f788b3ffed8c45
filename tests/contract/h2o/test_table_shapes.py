"""What the check accepts is what H2O reads: the same columns, rows and classes, whatever the file looks like."""

import datetime
import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InvalidInput
from tests.contract.h2o.conftest import MakeJob, left_in, quick_spec, train
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.data_preparation import prepare_frames
from workers.runtimes.h2o_automl.frames import frame_columns, remove_key, row_count
from workers.runtimes.h2o_automl.keys import RunKeys
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime
from workers.runtimes.h2o_automl.table_check import check_tables

ROWS = 200
Read = Callable[..., dict[str, str]]


def table(line: Callable[[int], str], header: str = "x,y", end: str = "\n") -> bytes:
    return (header + end + "".join(line(n) + end for n in range(ROWS))).encode()


def plain(n: int) -> str:
    return f"{n / 7:.3f},{'ab'[n % 2]}"


@pytest.fixture
def read(make_job: MakeJob, client: H2OClient, tmp_path: Path) -> Read:
    """Checks a table and brings it into the cluster; answers the kinds of its columns there."""

    def check_and_load(content: bytes | pa.Table, **options: object) -> dict[str, str]:
        path = tmp_path / "shaped"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            pq.write_table(content, path)
        job = make_job()
        keys = RunKeys(job.job_id, 1)
        spec = quick_spec("shaped", test_dataset={"file": "shaped"}, **options)
        data = check_tables(spec, path, {"test": path})
        try:
            prepare_frames(client, job, spec, keys, data, {"dataset": path, "test": path})
            columns = frame_columns(client, keys.frame("train"))
            assert [column["label"] for column in columns] == list(data.dataset.columns)
            assert row_count(client, keys.frame("train")) == data.dataset.rows
            (target,) = (column for column in columns if column["label"] == "y")
            assert {name.strip() for name in target["domain"]} == {name.strip() for name in data.dataset.target.counts}
            return {column["label"]: column["type"] for column in columns}
        finally:
            for name in left_in(client, job.job_id):
                remove_key(client, name)

    return check_and_load


@pytest.mark.parametrize(
    "content",
    [
        table(plain, end="\r\n"),
        table(plain, end="\r"),
        table(plain).rstrip(b"\n"),
        b"\n\n" + table(lambda n: plain(n) + "\n"),
        b"\xef\xbb\xbf" + table(plain),
        gzip.compress(table(plain)) + gzip.compress(b"1,a\n2,b\n"),
        table(lambda n: f'"a{n % 3}\nb",{n % 2}'),
        table(lambda n: f'{n},"a\r\nb{n % 2}"'),
        table(lambda n: f'"a, ""{n % 3}""", "{n % 2}"'),
        table(lambda n: f'"a{n % 3}" ,{n % 2}'),
        table(lambda n: f'5" pipe{n % 3},{n % 2}'),
        table(lambda n: f"'t{n % 3},{n % 2}"),
        table(lambda n: f'"#{n % 3}",{n % 2}'),
        table(lambda n: f"{n};a{n % 2}", header="x;y"),
        table(lambda n: f"{n}\t\t{n % 2}", header="x\tz\ty"),
        table(lambda n: f" {n}, {n}, {n % 2} ", header="x,X ,y"),
        table(lambda n: f"{n},{'true' if n % 2 else 'false'}", header="1,y"),
        table(lambda n: f"a\u2028b{n % 3}\x85,{n % 2}"),
        table(lambda n: f"{('v', 'w' * 300_000)[n == 3]},{n % 2}"),
    ],
    ids=[
        *("CRLF", "CR", "no last end", "blank lines", "byte order mark", "gzip of two", "line break in quotes"),
        *("line break in a class", "quotes in quotes", "space after quotes", "inches", "apostrophe", "quoted #"),
        *("semicolons", "tabs", "names that nearly agree", "a number for a name", "rare line ends", "a long field"),
    ],
)
def test_a_legal_file_is_read_alike(read: Read, content: bytes) -> None:
    assert read(content)["y"] == "enum"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_stay_times_however_fine(read: Read, unit: str) -> None:
    times = [datetime.datetime(2024, 1, 1) + datetime.timedelta(days=n) for n in range(ROWS)]
    kinds = read(pa.table({"x": pa.array(times, pa.timestamp(unit)), "y": [n % 2 for n in range(ROWS)]}))
    assert kinds["x"] == "time"


def test_classes_of_doubles_have_the_names_of_whole_numbers(read: Read) -> None:
    assert read(pa.table({"x": list(range(ROWS)), "y": [float(n % 3) for n in range(ROWS)]}))["y"] == "enum"


def test_a_nameless_index_of_pandas_is_no_feature(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, tables: dict[str, Path], tmp_path: Path
) -> None:
    columns = {"x": [n % 7 for n in range(ROWS)], "y": [n % 2 for n in range(ROWS)]}
    indexed = pa.table({**columns, "__index_level_0__": list(range(ROWS))})
    tables["indexed"] = tmp_path / "indexed.parquet"
    pq.write_table(
        indexed.replace_schema_metadata({"pandas": '{"index_columns": ["__index_level_0__"]}'}), tables["indexed"]
    )
    job = make_job()
    train(quick_spec("indexed", explain=True, include_algos=["GBM"]), job, h2o)
    assert {row[0] for row in job.artifact_json("variable_importance.json")["rows"]} == {"x"}


def test_features_that_h2o_leaves_out_are_refused_before_training(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient, tables: dict[str, Path], tmp_path: Path
) -> None:
    tables["ids"] = tmp_path / "ids.csv"
    tables["ids"].write_bytes(table(lambda n: f"id {n},{n % 2}"))
    with pytest.raises(InvalidInput, match="nearly every row has a text of its own"):
        train(quick_spec("ids"), make_job(), h2o)
    assert not [name for name in left_in(client) if "automl" in name.lower()]


def test_values_that_h2o_loses_are_said(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, tables: dict[str, Path], tmp_path: Path
) -> None:
    tables["mixed"] = tmp_path / "mixed.csv"
    tables["mixed"].write_bytes(table(lambda n: f"{n % 7 if n != 150 else 'abc'},{n % 2}"))
    job = make_job()
    train(quick_spec("mixed"), job, h2o)
    assert (
        "warning",
        "H2O reads column 'x' as numbers, and what is none as missing: 'abc' in line 152, for one.",
    ) in job.lines


@pytest.mark.parametrize(
    "content",
    [table(lambda n: "1,2,3" if n == 150 else plain(n)), table(lambda n: f"{n},a"), b"x,y\n", bytes(1000)],
    ids=["ragged", "one class", "no rows", "junk"],
)
def test_what_is_refused_never_touches_the_cluster(
    make_job: MakeJob,
    h2o: H2OAutoMLRuntime,
    client: H2OClient,
    tables: dict[str, Path],
    tmp_path: Path,
    content: bytes,
) -> None:
    tables["bad"] = tmp_path / "bad.csv"
    tables["bad"].write_bytes(content)
    before = len(client.get("/3/Jobs")["jobs"])
    job = make_job()
    with pytest.raises(InvalidInput):
        train(quick_spec("bad"), job, h2o)
    assert (job.guarded, job.checkpoints, len(client.get("/3/Jobs")["jobs"])) == (0, [], before)


TYPED = {"code": "enum", "day": "time", "size": "numeric"}


def test_types_that_are_asked_for_in_csv(read: Read) -> None:
    content = table(lambda n: f"{n % 3},2026-01-{n % 28 + 1:02},{n},{'ab'[n % 2]}", "code,day,size,y")
    assert read(content)["code"] == "int"
    kinds = read(content, types=TYPED)
    assert (kinds["code"], kinds["day"], kinds["size"]) == ("enum", "time", "int")
    assert read(content, types={"size": "enum"})["size"] == "enum"


def test_types_that_are_asked_for_in_parquet(read: Read) -> None:
    content = pa.table(
        {
            "code": [n % 3 for n in range(ROWS)],
            "day": [f"2026-01-{n % 28 + 1:02}" for n in range(ROWS)],
            "size": [str(n) for n in range(ROWS)],
            "y": ["ab"[n % 2] for n in range(ROWS)],
        }
    )
    kinds = read(content, types=TYPED)
    assert (kinds["code"], kinds["day"], kinds["size"]) == ("enum", "time", "int")


def test_what_is_no_time_is_refused(read: Read) -> None:
    content = table(lambda n: f"{['soon', 'later'][n % 2]},{n},{'ab'[n % 2]}", "day,size,y")
    with pytest.raises(InvalidInput, match="types makes column 'day' a time, but H2O can read no value of it"):
        read(content, types={"day": "time"})


@pytest.mark.parametrize("encoding", ["utf-16", "windows-1252"])
def test_other_encodings_reach_h2o_whole(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, tables: dict[str, Path], tmp_path: Path, encoding: str
) -> None:
    tables["encoded"] = tmp_path / "encoded.csv"
    text = table(lambda n: f"{n % 7},{['süß', 'scharf, €'][n % 2]!r}", "größe,y").decode().replace("'", '"')
    tables["encoded"].write_bytes(text.encode(encoding))
    job = make_job()
    told = {"encoding": encoding} if encoding != "utf-16" else {}
    matrix = train(quick_spec("encoded", test_dataset={"file": "encoded"}, **told), job, h2o).confusion_matrix
    assert matrix is not None
    assert matrix.labels == ["scharf, €", "süß"]
    assert sum(map(sum, matrix.matrix)) == ROWS
