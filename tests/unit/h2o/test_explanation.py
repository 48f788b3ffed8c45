"""The explanation's tables and names, and that one part's failure costs only that part."""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.contracts import LeaderboardEntry
from tasks.errors import ClusterLost, JobCancelled, JobOutOfMemory
from tasks.tabular import ConfusionMatrix
from tests.fakes.job_context import FakeJobContext, LeaseLost
from tests.unit.h2o.fake_client import FakeClient
from workers.runtimes.h2o_automl import explanation, test_frame
from workers.runtimes.h2o_automl.explained_parts import Answer, Once, Part, by_importance
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.keys import RunKeys
from workers.runtimes.h2o_automl.leader_quality import confusion_table
from workers.runtimes.h2o_automl.model_agreement import pearson, same_label_share
from workers.runtimes.h2o_automl.pictures.curves import draw_dependence, draw_roc
from workers.runtimes.h2o_automl.pictures.matrices import draw_agreement, draw_confusion, draw_importance
from workers.runtimes.h2o_automl.tables import Table, short_model, short_models, slug
from workers.runtimes.h2o_automl.test_frame import Column
from workers.runtimes.h2o_automl.variable_importance import feature_of, importances

TABLE = Table("t", "n", ["a", "b"], [["x", 1], ["y", None]])


def test_a_table_is_json_and_csv() -> None:
    assert json.loads(TABLE.json())["rows"] == [["x", 1], ["y", None]]
    assert TABLE.csv() == b"a,b\nx,1\ny,\n"


def test_names_stay_apart_in_file_names() -> None:
    assert slug("x1") == "x1"
    assert len({slug(name) for name in ("a b", "a_b", "a/b", "ä", "ö", "x" * 100, "x" * 101)}) == 7
    assert all(slug(name).isascii() and "/" not in slug(name) for name in ("a/b", "ä", "日本"))


@pytest.mark.parametrize("time", ["143252", "01212"])
def test_models_are_shown_without_what_they_share(time: str) -> None:
    assert short_model(f"GBM_grid_1_AutoML_1_20261123_{time}_model_2") == "GBM_grid_1_model_2"


def test_models_of_several_runs_stay_apart() -> None:
    job = f"job_{'0' * 32}"
    assert short_models(["GBM_1_AutoML_1_20261123_143252", "GLM_1_AutoML_1_20261123_143252"]) == ["GBM_1", "GLM_1"]
    assert short_models(["GBM_1_AutoML_1_20261123_143252", "GBM_1_AutoML_1_20261123_90101"]) == [
        "GBM_1_20261123_143252",
        "GBM_1_20261123_90101",
    ]
    assert short_models([f"GBM_{job}_r{run}_grid_model_1" for run in (1, 2)]) == [
        "GBM_r1_grid_model_1",
        "GBM_r2_grid_model_1",
    ]


def test_importances_of_several_runs_stay_apart() -> None:
    ids = [f"GBM_1_AutoML_1_20261123_{time}" for time in ("143252", "153252")]
    columns = [{"name": name} for name in ("variable", "percentage")]

    def answer(share: float) -> dict[str, object]:
        data = [["x", "z"], [share, 1 - share]]
        return {"models": [{"output": {"variable_importances": {"columns": columns, "data": data}}}]}

    client = FakeClient(
        {f"GET /3/Models/{ids[0]}": lambda: answer(0.8), f"GET /3/Models/{ids[1]}": lambda: answer(0.5)}
    )
    entries = [LeaderboardEntry(model_id=one, algo="GBM", metrics={}) for one in ids]
    assert importances(client.as_client, entries, ["x", "z"]) == {
        "GBM_1_20261123_143252": {"x": 1.0, "z": pytest.approx(0.25)},
        "GBM_1_20261123_153252": {"x": 1.0, "z": 1.0},
    }


def test_agreement_of_labels_is_the_share_of_equal_ones() -> None:
    assert same_label_share([["a", "b", "a", "b"], ["a", "b", "b", "b"]]).tolist() == [[1, 0.75], [0.75, 1]]


def test_agreement_of_numbers_is_pearsons() -> None:
    found = pearson([["1", "2", "3"], ["3", "2", "1"], ["5", "5", "5"]])
    assert found[0, 1] == pytest.approx(-1)
    assert np.isnan(found[0, 2])


@pytest.mark.parametrize(
    ("variable", "feature"),
    [("size", "size"), ("colour.red", "colour"), ("a.b.c", "a.b"), ("a.b", "a.b"), ("other", None)],
)
def test_levels_count_for_their_feature(variable: str, feature: str | None) -> None:
    assert feature_of(variable, ["size", "colour", "a", "a.b"]) == feature


def test_a_confusion_table_names_its_rows() -> None:
    table = confusion_table(ConfusionMatrix(labels=["n", "y"], matrix=[[3, 1], [0, 4]]))
    assert (list(table.columns), table.rows) == (["actual", "n", "y"], [["n", 3, 1], ["y", 0, 4]])


class TestPictures:
    def test_heatmaps_are_png(self) -> None:
        confusion = ConfusionMatrix(labels=["no", "yes"], matrix=[[3, 1], [0, 0]])
        importance = Table("", "", ["feature", "GBM_1"], [["x", 1.0], ["z" * 90, 0.0]])
        agreement = Table("", "", ["model", "A", "B"], [["A", 1.0, None], ["B", None, 1.0]])
        for picture in (
            draw_confusion(confusion, "GBM_1"),
            draw_confusion(ConfusionMatrix(labels=[f"c{n}" for n in range(70)], matrix=[[1] * 70] * 70), "GBM_1"),
            draw_importance(importance),
            draw_agreement(agreement, classification=False),
        ):
            assert picture.startswith(b"\x89PNG")

    @pytest.mark.parametrize(
        ("column", "values"),
        [
            (Column("x", "real", ()), [0.5, None, 2.5]),
            (Column("x", "time", ()), ["2024-01-01T00:00:00+00:00", "2024-06-01T00:00:00+00:00", None]),
            (Column("x", "enum", ("a", "b", "c")), ["a", "b", "c"]),
        ],
    )
    @pytest.mark.parametrize("classes", [[None], ["u", "v", "w"]])
    def test_curves_are_png(self, column: Column, values: list[object], classes: list[str | None]) -> None:
        rows = [[label, value, 0.5, 0.1, 0.01] for label in classes for value in values]
        table = Table("", "", ["class", "x", "mean_response", "stddev_response", "std_error_mean_response"], rows)  # type: ignore[arg-type]
        assert draw_dependence(table, column, "GBM_1", "probability", is_probability=True).startswith(b"\x89PNG")

    def test_roc_is_png(self) -> None:
        points = Table("", "", ["threshold", "fpr", "tpr"], [[0.9, 0.0, 0.5], [0.1, 1.0, 1.0]])
        assert draw_roc(points, 0.75, "GBM_1", "yes").startswith(b"\x89PNG")


class TestParts:
    asked: list[str]

    @pytest.fixture
    def job(self, tmp_path: Path) -> FakeJobContext:
        self.asked = []
        return FakeJobContext(tmp_path)

    def explain(
        self,
        job: FakeJobContext,
        monkeypatch: pytest.MonkeyPatch,
        failures: Mapping[str, BaseException],
        names: Sequence[str] = ("one", "two", "three"),
    ) -> explanation.Explanation:
        def draw(name: str) -> bytes:
            if name == "undrawable":
                raise ValueError("no ink")
            return b"\x89PNG"

        def ask(name: str) -> Answer | None:
            self.asked.append(name)
            if name in failures:
                raise failures[name]
            return None if name == "nothing" else Answer(TABLE, lambda: draw(name))

        def parts(_job: object, _subject: object) -> Iterator[Part]:
            for name in names:
                yield Part("ice", name, functools.partial(ask, name), "a")

        monkeypatch.setattr(explanation, "parts_of", parts)
        return explanation.explain(job, None, lambda share, now: job.progress(share, now))  # type: ignore[arg-type]

    def test_all_parts_are_saved(self, job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
        made = self.explain(job, monkeypatch, {})
        pictures = [f"{name}.{kind}" for name in ("one", "two", "three") for kind in ("json", "png")]
        assert made.artifacts["ice"] == [*pictures, "tables.ice.parquet"]
        assert made.missing == []
        assert set(job.artifacts) == set(made.artifacts["ice"])
        assert pq.read_table(job.artifacts["tables.ice.parquet"][0]).num_rows == 3 * len(TABLE.rows)

    def test_a_part_that_fails_is_named(self, job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
        made = self.explain(job, monkeypatch, {"two": H2OError(500, "", "boom")})
        assert made.missing == ["two"]
        assert set(job.artifacts) == {"one.json", "one.png", "three.json", "three.png", "tables.ice.parquet"}
        assert job.lines[0][0] == "warning"
        assert "boom" in job.lines[0][1]

    def test_a_part_that_can_not_be_drawn_is_named(self, job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
        made = self.explain(job, monkeypatch, {}, ["one", "undrawable", "nothing", "two"])
        assert made.missing == ["undrawable"]
        assert [name for name in made.artifacts["ice"] if name.endswith(".png")] == ["one.png", "two.png"]

    def test_tables_that_are_no_parquet_are_named(self, job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_arguments: object) -> bytes:
            raise ValueError("no such type")

        monkeypatch.setattr(explanation, "records", refuse)
        made = self.explain(job, monkeypatch, {}, ["one"])
        assert (made.missing, made.artifacts) == (["tables.ice.parquet"], {"ice": ["one.json", "one.png"]})

    def test_without_any_part_there_are_no_tables(self, job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
        failures = {name: H2OError(500, "", "boom") for name in ("one", "two", "three")}
        assert self.explain(job, monkeypatch, failures).artifacts == {}
        assert job.artifacts == {}

    def test_a_lost_cluster_ends_only_the_explanation(
        self, job: FakeJobContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = ["one", "two", "three", "four"]
        made = self.explain(job, monkeypatch, {"two": ClusterLost("gone")}, names)
        assert made.missing == ["two", "three", "four"]
        assert not {"three", "four"} & set(self.asked)

    def test_a_lost_lease_ends_the_attempt(self, job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(LeaseLost):
            self.explain(job, monkeypatch, {"two": LeaseLost("gone")})

    def test_cancel_is_heeded_between_parts(self, job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
        job.request("cancel")
        with pytest.raises(JobCancelled):
            self.explain(job, monkeypatch, {})

    def test_a_part_without_memory_is_named(self, job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.explain(job, monkeypatch, {"two": JobOutOfMemory("full")}).missing == ["two"]

    def test_stop_keeps_the_parts_so_far(self, job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(job, "save_artifact", lambda *_arguments: job.request("stop"))
        made = self.explain(job, monkeypatch, {})
        assert (made.missing, made.artifacts) == (
            ["two", "three"],
            {"ice": ["one.json", "one.png", "tables.ice.parquet"]},
        )

    def test_a_training_that_was_stopped_is_explained(
        self, job: FakeJobContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job.request("stop")
        assert self.explain(job, monkeypatch, {}).missing == []


class TestOnce:
    def test_all_get_the_first_answer(self) -> None:
        asked: list[int] = []
        once = Once(lambda: asked.append(1) or len(asked))
        assert (once(), once(), asked) == (1, 1, [1])

    def test_all_get_the_first_failure(self) -> None:
        asked: list[int] = []

        def fail() -> int:
            asked.append(1)
            raise H2OError(500, "", "boom")

        once = Once(fail)
        for _ in range(2):
            with pytest.raises(H2OError, match="boom"):
                once()
        assert asked == [1]


def test_without_importances_features_come_as_they_are() -> None:
    def fail() -> dict[str, dict[str, float]]:
        raise H2OError(500, "", "boom")

    assert by_importance(["a", "b"], Once(lambda: {"GBM_1": {"b": 1.0}, "GLM_1": {"a": 0.5, "b": 0.1}})) == ["b", "a"]
    assert by_importance(["a", "b"], Once(fail)) == ["a", "b"]


def test_a_cluster_lost_while_the_sample_is_open_keeps_what_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_arguments: object) -> None:
        raise ClusterLost("gone")

    keys = RunKeys("0" * 32, 1)
    monkeypatch.setattr(test_frame, "row_count", lambda _client, _key: 10_000)
    monkeypatch.setattr(test_frame, "frame_columns", lambda _client, _key: [])
    monkeypatch.setattr(test_frame, "split_frame", lambda *_arguments: None)
    monkeypatch.setattr(test_frame, "remove_key", lambda *_arguments: None)
    with test_frame.opened_test_frame(FakeClient({}).as_client, keys) as frame:
        monkeypatch.setattr(test_frame, "remove_key", lose)
    assert frame.sample == keys.frame("test_sample")
