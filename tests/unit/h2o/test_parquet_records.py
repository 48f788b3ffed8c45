"""The explanation's tables as Parquet: the same columns whatever the features are called."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import JsonValue

from workers.runtimes.h2o_automl.parquet_records import parquet, records
from workers.runtimes.h2o_automl.tables import Table


def read(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))


def test_columns_have_the_types_of_their_values() -> None:
    table = Table(
        "t", "n", ["whole", "number", "flag", "text", "none"], [[1, 1, True, "a", None], [2, 0.5, False, 3, None]]
    )
    found = read(parquet(table))
    assert [str(field.type) for field in found.schema] == ["int64", "double", "bool", "string", "double"]
    assert found.to_pylist()[1] == {"whole": 2, "number": 0.5, "flag": False, "text": "3", "none": None}
    assert found.schema.metadata == {b"title": b"t", b"note": b"n"}


@pytest.mark.parametrize(
    ("role", "columns", "row", "expected"),
    [
        ("confusion_matrix", ["actual", "no"], ["yes", 3], {"actual": "yes", "predicted": "no", "rows": 3}),
        (
            "variable_importance",
            ["feature", "GBM_1"],
            ["x", 0.5],
            {"feature": "x", "model": "GBM_1", "importance": 0.5},
        ),
        (
            "model_correlation",
            ["model", "GBM_1"],
            ["GLM_1", None],
            {"model": "GLM_1", "other_model": "GBM_1", "correlation": None},
        ),
        (
            "principal_components",
            ["column", "pc1"],
            ["x", 0.5],
            {"column": "x", "component": "pc1", "weight": 0.5},
        ),
        # A feature may be called like what is said of the cluster.
        (
            "clusters",
            ["cluster", "rows", "within_cluster_sum_of_squares", "rows"],
            [1, 20, 3.5, "red"],
            {
                "cluster": 1,
                "rows": 20,
                "within_cluster_sum_of_squares": 3.5,
                "feature": "rows",
                "value": "red",
                "value_number": None,
            },
        ),
        ("roc", ["threshold", "fpr"], [0.5, None], {"threshold": 0.5, "fpr": None}),
        (
            "shap_summary",
            ["feature", "value", "contribution"],
            ["x", "1.5", 0.1],
            {"feature": "x", "value": "1.5", "value_number": 1.5, "contribution": 0.1},
        ),
    ],
)
def test_a_matrix_has_a_row_for_each_cell(
    role: str, columns: list[str], row: list[JsonValue], expected: dict[str, object]
) -> None:
    assert read(records(role, [("", Table("t", "n", columns, [row]))])).to_pylist() == [expected]


def test_features_of_all_kinds_share_a_file() -> None:
    response = ["mean_response", "stddev_response", "std_error_mean_response"]
    numbers = Table("x", "", ["class", "x", *response], [[None, 1.5, 0.1, 0.2, 0.3], [None, None, 0.1, 0.2, 0.3]])
    texts = Table("class", "", ["class", "class", *response], [[None, "a", 0.4, 0.5, 0.6]])
    found = read(records("partial_dependence", [("x", numbers), ("class", texts)]))
    assert found.column_names == ["feature", "class", "value", "value_number", *response]
    picked = found.select(["feature", "class", "value", "value_number"])
    assert [tuple(row.values()) for row in picked.to_pylist()] == [
        ("x", None, "1.5", 1.5),
        ("x", None, None, None),
        ("class", None, "a", None),
    ]
    assert not found.schema.metadata


def test_models_are_told_apart_by_a_column() -> None:
    table = Table("", "", ["colour", "GBM_1", "GLM_1"], [["red", 0.5, 0.25]])
    assert read(records("partial_dependence_models", [("colour", table)])).to_pylist() == [
        {"feature": "colour", "value": "red", "value_number": None, "model": model, "mean_response": mean}
        for model, mean in (("GBM_1", 0.5), ("GLM_1", 0.25))
    ]
