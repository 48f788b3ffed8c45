"""H2O's answers in plain values, and progress that says what it measures."""

import pytest

from tasks.errors import InvalidInput, JobOutOfMemory, UpstreamError
from workers.runtimes.h2o_automl.automl_view import algorithm, number, read_automl, table_rows
from workers.runtimes.h2o_automl.failures import H2OError, doing, plain_message, translate
from workers.runtimes.h2o_automl.training_progress import measure


def h2o_table(columns: list[str], rows: list[list[object]]) -> dict[str, object]:
    data = [list(column) for column in zip(*rows, strict=True)]
    return {"columns": [{"name": name} for name in columns], "data": data}


def answer(events: list[tuple[str, str]], models: list[list[object]]) -> dict[str, object]:
    return {
        "project_name": "p",
        "leaderboard": {"sort_metric": "auc"},
        "leaderboard_table": h2o_table(["", "model_id", "auc", "logloss"], models),
        "event_log_table": h2o_table(
            ["", "timestamp", "level", "stage", "message", "name", "value"],
            [["0", "1:2", level, "s", message, None, None] for level, message in events],
        ),
    }


def test_an_unknown_project_is_none() -> None:
    assert read_automl({"project_name": None}) is None


def test_a_leaderboard_keeps_h2os_names_and_order() -> None:
    models: list[list[object]] = [
        ["0", "StackedEnsemble_AllModels_1_AutoML_1_2", 0.9, "NaN"],
        ["1", "GBM_grid_1_AutoML_1_2_model_1", 0.8, 0.4],
    ]
    view = read_automl(answer([], models))
    assert view is not None
    assert view.entries[0].metrics == {"auc": 0.9, "logloss": None}
    assert [entry.algo for entry in view.entries] == ["StackedEnsemble", "GBM"]
    assert view.base_models == 1


def test_the_model_in_training_is_the_last_that_was_started() -> None:
    events = [
        ("INFO", f"AutoML: starting {name}_AutoML_1_20261123_143252 model training") for name in ("GLM_1", "GBM_2")
    ]
    view = read_automl(answer([*events, ("DEBUG", "other")], []))
    assert view is not None
    assert view.now_training == "GBM_2"


def test_a_failure_is_explained_by_its_cause_rather_than_by_what_follows() -> None:
    events = [
        ("WARN", "User specified a validation frame with cross-validation still enabled."),
        ("WARN", "GLM_1 [GLM def_1] failed: java.lang.RuntimeException: Response cannot be constant."),
        ("WARN", "Empty leaderboard."),
    ]
    view = read_automl(answer(events, []))
    assert view is not None
    assert view.complaint is not None
    assert plain_message(view.complaint) == "GLM_1 [GLM def_1] failed: Response cannot be constant."
    assert read_automl(answer(events[:1], [])).complaint is None  # type: ignore[union-attr]


def test_an_empty_table_has_no_rows() -> None:
    assert table_rows(None) == []
    assert table_rows({"columns": [], "data": []}) == []


@pytest.mark.parametrize(
    ("value", "expected"), [(1, 1.0), ("0.5", 0.5), ("NaN", None), ("Infinity", None), (None, None), ("x", None)]
)
def test_what_is_no_number_is_none(value: object, expected: float | None) -> None:
    assert number(value) == expected


def test_an_id_starts_with_its_algorithm() -> None:
    assert algorithm("XRT_1_AutoML_1_20261123_143252") == "XRT"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (
            "\n\nERROR MESSAGE:\n\nResponse column 'zz' is not in the frame.\n\n",
            "Response column 'zz' is not in the frame.",
        ),
        ("water.exceptions.H2OIllegalArgumentException: Bad\n\tat water.api.X.y(X.java:1)\nCaused by: z", "Bad"),
        ("DistributedException from /127.0.0.1: 'x', caused by java.lang.RuntimeException: boom", None),
        ("x" * 900, "x" * 500),
    ],
)
def test_a_message_is_one_sentence_without_java(text: str, plain: str | None) -> None:
    found = plain_message(text)
    assert "java." not in found
    assert "\n" not in found
    assert plain is None or found == plain


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (H2OError(412, "H2OModelBuilderIllegalArgumentException", "no y"), InvalidInput, "H2O refused parsing: no y"),
        (H2OError(500, "NullPointerException", ""), UpstreamError, "H2O failed at parsing: status 500"),
        (H2OError(500, "java.lang.OutOfMemoryError", "Java heap space"), JobOutOfMemory, "larger heap"),
    ],
)
def test_errors_of_h2o_become_errors_of_the_job(error: H2OError, expected: type[Exception], words: str) -> None:
    translated = translate(error, "parsing")
    assert type(translated) is expected
    assert words in str(translated)


def test_a_block_translates_what_h2o_refuses_in_it() -> None:
    with pytest.raises(InvalidInput, match="H2O refused splitting: bad") as caught, doing("splitting"):
        raise H2OError(400, "", "bad")
    assert isinstance(caught.value.__cause__, H2OError)


class TestProgress:
    def test_models_are_measured_when_they_are_what_is_limited(self) -> None:
        found = measure(models=4, max_models=10, elapsed_seconds=20, budget_seconds=0, now_training="GBM_1")
        assert (found.fraction, found.eta_seconds) == (0.4, 30)
        assert found.message == "4 of 10 models trained; now GBM_1"

    def test_time_is_measured_when_it_is_what_is_limited(self) -> None:
        found = measure(models=4, max_models=0, elapsed_seconds=25, budget_seconds=100, now_training=None)
        assert (found.fraction, found.eta_seconds) == (0.25, 75)
        assert found.message == "4 models trained; 25 of at most 100 s used"

    def test_the_nearer_limit_counts(self) -> None:
        nearly_out_of_time = measure(models=1, max_models=10, elapsed_seconds=90, budget_seconds=100, now_training=None)
        assert (nearly_out_of_time.fraction, nearly_out_of_time.eta_seconds) == (0.9, 10)
        nearly_all_models = measure(models=9, max_models=10, elapsed_seconds=9, budget_seconds=100, now_training=None)
        assert (nearly_all_models.fraction, nearly_all_models.eta_seconds) == (0.9, 1)

    def test_one_model_says_nothing_about_the_next(self) -> None:
        assert (
            measure(models=1, max_models=9, elapsed_seconds=5, budget_seconds=0, now_training=None).eta_seconds is None
        )

    def test_without_limits_there_is_no_fraction(self) -> None:
        assert measure(models=3, max_models=0, elapsed_seconds=5, budget_seconds=0, now_training=None).fraction is None

    def test_overtime_is_not_more_than_all(self) -> None:
        assert measure(models=3, max_models=0, elapsed_seconds=500, budget_seconds=100, now_training=None).fraction == 1


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("water.parser.ParseDataset$H2OParseException: Too many columns", "Too many columns"),
        (
            "DistributedException from /127.0.0.1:54321: 'Java heap space', caused by java.lang.OutOfMemoryError: full",
            "'Java heap space', caused by full",
        ),
        ("water.DistributedException from localhost/127.0.0.1:54321: boom", "boom"),
        ("class water.fvec.Frame job_1_data is already in use.", "job_1_data is already in use."),
    ],
)
def test_messages_have_no_java_in_them(text: str, plain: str) -> None:
    assert plain_message(text) == plain
