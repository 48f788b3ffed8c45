"""Scoring without the cluster says what the cluster says."""

import csv
import gzip
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tasks.contracts import LeaderboardEntry
from tasks.errors import InvalidInput, JobCancelled, JobStoppedEmpty
from tasks.kinds.score_table import Scores, ScoreTable, run
from tests.contract.h2o.conftest import MakeJob, quick_spec, train
from tests.fakes.job_context import FakeJobContext
from workers.runtimes.h2o_automl.client import H2OClient, path_part
from workers.runtimes.h2o_automl.frames import await_job
from workers.runtimes.h2o_automl.keys import RunKeys
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime
from workers.runtimes.h2o_mojo import create
from workers.runtimes.h2o_mojo.predictions import _column
from workers.runtimes.h2o_mojo.runtime import MojoRuntime

NEAR = 1e-9


@dataclass(frozen=True)
class Trained:
    """Models of one training by algorithm, its test rows as CSV, and what the cluster predicts for them."""

    models: dict[str, Path]
    table: Path
    predicted: dict[str, list[dict[str, str]]]


@pytest.fixture(scope="session")
def scorer() -> MojoRuntime:
    return create({"heap": "512m"})


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Path]) -> None:
    """A table with numbers, categories, missing values and times, and three targets."""
    path = tmp_path_factory.mktemp("mixed") / "mixed.csv"
    colours = ["red", "green", "blue", "deep, dark"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["colour", "size", "day", "works", "sort", "price"])
        for n in range(400):
            colour = "" if n % 13 == 0 else colours[n % 4]
            size = "NA" if n % 17 == 0 else f"{(n * 37 % 100) / 10}"
            price = (n % 4) * 10 + (n * 37 % 100) / 10 + (n % 7) / 5
            day = f"2026-{1 + n % 12:02}-{1 + n % 28:02}"
            sort = ["a", "b", "c"][int(price // 3) % 3]
            writer.writerow([colour, size, day, "yes" if (price > 20) != (n % 11 == 0) else "no", sort, price])
    tables["mixed"] = path


@pytest.fixture(scope="module")
def train_on(
    mixed: None,
    h2o: H2OAutoMLRuntime,
    keeper: Any,
    tables: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Trained]:
    from workers.runtimes.h2o_automl.connection import KeptCluster

    made: dict[str, Trained] = {}

    def trained(target: str) -> Trained:
        if target in made:
            return made[target]
        directory = tmp_path_factory.mktemp(target)
        job = FakeJobContext(directory, tables, job_id=f"{len(made):032x}")
        features = ["colour", "size", "day"]
        options = {"include_algos": ["GLM", "GBM", "StackedEnsemble"], "max_models": 2, "features": features}
        result = train(quick_spec("mixed", target, keep_models="all", **options), job, h2o)
        assert list(result.kept_models) == [entry.model_id for entry in job.boards[-1].entries]
        client = H2OClient(KeptCluster(keeper.cluster_file), lambda: None)
        try:
            made[target] = _collect(client, job, directory, result.kept_models)
        finally:
            client.close()
            assert job.saved_checkpoint is not None
            h2o.clean_up(job.saved_checkpoint)
        return made[target]

    return trained


def _collect(client: H2OClient, job: FakeJobContext, directory: Path, kept: dict[str, str]) -> Trained:
    test = RunKeys(job.job_id, 1).frame("test")
    table = directory / "test.csv"
    client.download("/3/DownloadDataset", table, params={"frame_id": test, "hex_string": "false"})
    models, predicted = {}, {}
    for entry in job.boards[-1].entries:
        if entry.algo in models:
            continue
        models[entry.algo] = job.artifacts[kept[entry.model_id]][0]
        predicted[entry.algo] = _predict(client, entry, test, directory)
    return Trained(models, table, predicted)


def _predict(client: H2OClient, entry: LeaderboardEntry, test: str, directory: Path) -> list[dict[str, str]]:
    path = f"/4/Predictions/models/{path_part(entry.model_id)}/frames/{path_part(test)}"
    begun = client.post(path, {"predictions_frame": f"{test}_predicted"})
    await_job(client, begun["key"]["name"], lambda: None)
    target = directory / "predicted.csv"
    client.download("/3/DownloadDataset", target, params={"frame_id": f"{test}_predicted", "hex_string": "false"})
    with target.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def score(
    scorer: MojoRuntime, make_job: MakeJob, tables: dict[str, Path]
) -> Callable[..., tuple[Scores, FakeJobContext]]:
    def scored(model: Path, table: Path | None = None, **spec: Any) -> tuple[Scores, FakeJobContext]:
        job = make_job()
        job._inputs = {"model": model, **({} if table is None else {"table": table})}
        source = {} if table is None else {"dataset": {"file": "table"}}
        result = run.run(ScoreTable.model_validate({"model": {"file": "model"}, **source, **spec}), job, scorer)
        assert isinstance(result, Scores)
        return result, job

    return scored


Score = Callable[..., tuple[Scores, FakeJobContext]]


def rows_of(job: FakeJobContext) -> list[dict[str, str]]:
    with job.artifacts["predictions.csv"][0].open(newline="") as file:
        return list(csv.DictReader(file))


def inline(trained: Trained) -> list[dict[str, Any]]:
    with trained.table.open(newline="") as file:
        read = list(csv.DictReader(file))
    rows = []
    for row in read:
        size = float(row["size"]) if row["size"] else None
        rows.append({"colour": row["colour"] or None, "size": size, "day": row["day"]})
    return rows


@pytest.mark.parametrize("target", ["works", "sort", "price"])
def test_a_file_is_scored_as_in_the_cluster(train_on: Callable[[str], Trained], score: Score, target: str) -> None:
    trained = train_on(target)
    assert {"GLM", "GBM", "StackedEnsemble"} <= set(trained.models) or target == "sort"
    for algo, model in trained.models.items():
        result, job = score(model, trained.table)
        theirs, ours = trained.predicted[algo], rows_of(job)
        assert result.rows == len(theirs) == len(ours)
        assert list(ours[0]) == list(theirs[0])
        for mine, other in zip(ours, theirs, strict=True):
            for name, value in other.items():
                if name == "predict" and target != "price":
                    assert mine[name] == value, (algo, mine, other)
                else:
                    assert math.isclose(float(mine[name]), float(value), rel_tol=NEAR, abs_tol=NEAR), (
                        algo,
                        mine,
                        other,
                    )
        assert result.algo
        assert result.features == ["colour", "size", "day"]


def test_rows_are_scored_as_the_file(train_on: Callable[[str], Trained], score: Score) -> None:
    trained = train_on("works")
    result, job = score(trained.models["GBM"], rows=inline(trained))
    assert result.predictions is not None
    assert job.artifacts == {}
    assert (result.category, result.target, result.classes) == ("Binomial", "works", ["no", "yes"])
    for mine, other in zip(result.predictions, trained.predicted["GBM"], strict=True):
        assert mine.predict == other["predict"]
        assert mine.probabilities is not None
        assert math.isclose(mine.probabilities["yes"], float(other["yes"]), rel_tol=NEAR)


def test_the_second_use_loads_nothing(train_on: Callable[[str], Trained], make_job: MakeJob) -> None:
    own = create({})
    trained = train_on("works")
    rows = inline(trained)[:1]
    spec = ScoreTable.model_validate({"model": {"file": "model"}, "rows": rows})
    loaded = []
    for _ in range(2):
        job = make_job()
        job._inputs = {"model": trained.models["GBM"]}
        loaded.append(own.score(spec, job).model_was_loaded)
    assert loaded == [True, False]


def test_contributions_add_up(train_on: Callable[[str], Trained], score: Score) -> None:
    trained = train_on("price")
    result, _ = score(trained.models["GBM"], rows=inline(trained), contributions=True)
    assert result.predictions is not None
    for row in result.predictions:
        assert row.contributions is not None
        assert set(row.contributions) == {"colour", "size", "day", "BiasTerm"}
        assert isinstance(row.predict, float)
        assert math.isclose(sum(row.contributions.values()), row.predict, rel_tol=1e-4)
    _, job = score(trained.models["GBM"], trained.table, contributions=True)
    assert list(rows_of(job)[0]) == ["predict", *(f"contribution_{n}" for n in ("colour", "size", "day", "BiasTerm"))]


@pytest.mark.parametrize(("target", "algo"), [("works", "StackedEnsemble"), ("works", "GLM"), ("sort", "GBM")])
def test_models_without_contributions_say_so(
    train_on: Callable[[str], Trained], score: Score, target: str, algo: str
) -> None:
    trained = train_on(target)
    with pytest.raises(InvalidInput, match="has no contributions"):
        score(trained.models[algo], rows=inline(trained)[:1], contributions=True)


def test_other_forms_of_the_same_table(train_on: Callable[[str], Trained], score: Score, tmp_path: Path) -> None:
    trained = train_on("works")
    expected = trained.predicted["GBM"]
    read = pacsv.read_csv(trained.table)
    days = read.column("day").cast(pa.timestamp("ms"))
    read = read.set_column(read.column_names.index("day"), "day", days)
    forms = {
        name: tmp_path / name
        for name in ("semicolons.csv", "packed.csv.gz", "marked.csv", "typed.parquet", "utf-16.csv")
    }
    text = trained.table.read_text()
    with forms["semicolons.csv"].open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows(csv.reader(text.splitlines()))
    forms["packed.csv.gz"].write_bytes(gzip.compress(text.encode()))
    forms["marked.csv"].write_bytes(b"\xef\xbb\xbf" + text.encode())
    pq.write_table(read, forms["typed.parquet"])
    forms["utf-16.csv"].write_bytes(text.encode("utf-16"))
    for path in forms.values():
        _, job = score(trained.models["GBM"], path)
        assert [row["predict"] for row in rows_of(job)] == [row["predict"] for row in expected], path.name


def test_an_encoding_that_is_named(train_on: Callable[[str], Trained], score: Score, tmp_path: Path) -> None:
    trained = train_on("works")
    path = tmp_path / "table.csv"
    path.write_bytes(trained.table.read_text().replace("red", "röt").encode("windows-1252"))
    with pytest.raises(InvalidInput, match=r"isn't UTF-8|can't be read"):
        score(trained.models["GBM"], path)
    result, _ = score(trained.models["GBM"], path, encoding="windows-1252")
    assert "never seen, such as 'röt'" in result.warnings[0]


def test_money_and_percents_are_numbers_as_in_h2o(train_on: Callable[[str], Trained], score: Score) -> None:
    rows = [{"colour": "red", "size": size, "day": "2026-01-01"} for size in (5, "5", "$5", "+5.0", "500%")]
    result, _ = score(train_on("works").models["GBM"], rows=rows)
    assert result.predictions is not None
    assert len({str(row) for row in result.predictions}) == 1


def test_predictions_as_parquet(train_on: Callable[[str], Trained], score: Score) -> None:
    trained = train_on("sort")
    _, job = score(trained.models["GBM"], trained.table, format="parquet")
    table = pq.read_table(job.artifacts["predictions.parquet"][0])
    assert table.column_names == ["predict", "a", "b", "c"]
    assert table.column("predict").to_pylist() == [row["predict"] for row in trained.predicted["GBM"]]


def test_levels_that_were_never_seen_count_as_missing(train_on: Callable[[str], Trained], score: Score) -> None:
    trained = train_on("works")
    row = {"colour": None, "size": 1.5, "day": "2026-01-01"}
    result, _ = score(trained.models["GBM"], rows=[row, {**row, "colour": "violet"}, {**row, "colour": "NA"}])
    assert result.predictions is not None
    assert result.predictions[0] == result.predictions[1] == result.predictions[2]
    assert "'colour' has 1 values that the model has never seen, such as 'violet' in row 2" in result.warnings[0]
    assert "taken for UTC" in result.warnings[1]


ROW = {"colour": "red", "size": 1.5, "day": "2026-01-01"}


def test_times_are_milliseconds(train_on: Callable[[str], Trained], score: Score) -> None:
    days = ("2026-03-01", "2026-03-01 00:00:00", 1_772_323_200_000, "2026-09-01")
    result, _ = score(train_on("price").models["GLM"], rows=[{**ROW, "day": day} for day in days])
    assert result.predictions is not None
    one, two, three, other = (row.predict for row in result.predictions)
    assert one == two == three != other


@pytest.mark.parametrize(("label", "column"), [("yes", "yes"), ("0", "p0"), ("-1", "p-1"), ("1.5", "1.5")])
def test_columns_of_classes_are_named_as_h2o_names_them(label: str, column: str) -> None:
    assert _column(label) == column


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"colour": "red", "day": None}], r"Row 1 has no 'size', which the model needs; write null"),
        ([ROW, {**ROW, "colur": "red"}], r"Row 2 has 'colur', which the model doesn't know; it predicts from 'colour'"),
        ([ROW, {**ROW, "size": "large"}], r"Column 'size' has 'large' in row 2, where the model needs a number"),
    ],
)
def test_rows_that_do_not_fit(
    train_on: Callable[[str], Trained], score: Score, rows: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        score(train_on("works").models["GBM"], rows=rows)


def test_the_target_may_be_there(train_on: Callable[[str], Trained], score: Score) -> None:
    result, _ = score(train_on("works").models["GBM"], rows=[{**ROW, "works": "yes"}])
    assert result.rows == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"colour,size,day\n", "a header but no rows"),
        (b"colour,day\nred,2026-01-01\n", r"lacks 'size', which the model needs; its columns: 'colour', 'day'"),
        (b"colour,size,day,size\nred,1,2026-01-01,2\n", "more than one column 'size'"),
        (b"colour,size,day\nred,1\n", "can't be read as CSV"),
        (b"colour,size,day\nr\xe9d,1,2026-01-01\n", "can't be read as CSV|isn't UTF-8"),
        ("colour,größe\n".encode("latin-1"), "isn't UTF-8"),
        (b"\x1f\x8bbroken", "can't be unpacked"),
        (b"PAR1 broken", "can't be read as Parquet"),
    ],
)
def test_tables_that_do_not_fit(
    train_on: Callable[[str], Trained], score: Score, tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "table"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        score(train_on("works").models["GBM"], path)


def test_columns_of_other_types(train_on: Callable[[str], Trained], score: Score, tmp_path: Path) -> None:
    path, model = tmp_path / "table.parquet", train_on("works").models["GBM"]
    typed = {"colour": pa.array([1.0, None]), "size": pa.array([True, False]), "day": pa.array(["2026-01-01", ""])}
    pq.write_table(pa.table(typed), path)
    result, _ = score(model, path)
    assert "'colour' has 1 values that the model has never seen, such as '1' in row 1" in result.warnings[0]
    pq.write_table(pa.table({**typed, "size": pa.array([[1.0], [2.0]])}), path)
    with pytest.raises(InvalidInput, match=r"Column 'size' holds list.*, which is no plain value"):
        score(model, path)
    pq.write_table(pa.table({**typed, "size": pa.array([b"1", b"2"])}), path)
    with pytest.raises(InvalidInput, match="Column 'size' holds binary, where the model needs numbers"):
        score(model, path)


def test_what_is_no_model(score: Score, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(b"rubbish")
    with pytest.raises(InvalidInput, match="no readable ZIP"):
        score(path, rows=[ROW])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InvalidInput, match=r"no model\.ini"):
        score(path, rows=[ROW])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.ini", "[info]\nalgo = gbm\n[columns]\n")
    with pytest.raises(InvalidInput, match="damaged or too new"):
        score(path, rows=[ROW])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.ini", "no sections")
    with pytest.raises(InvalidInput, match="names no algorithm"):
        score(path, rows=[ROW])


def test_a_request_to_end_is_heeded(train_on: Callable[[str], Trained], scorer: MojoRuntime, make_job: MakeJob) -> None:
    trained = train_on("works")
    spec = ScoreTable.model_validate({"model": {"file": "model"}, "rows": [ROW]})
    for mode, error in (("cancel", JobCancelled), ("stop", JobStoppedEmpty)):
        job = make_job()
        job._inputs = {"model": trained.models["GBM"]}
        job.request(mode)  # type: ignore[arg-type] # one of the two
        with pytest.raises(error):
            run.run(spec, job, scorer)
