"""Real tables, with texts, dates and missing values, through the whole program: a number, two classes, and more."""

import csv
import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from turnout import Client
from turnout.job import Job

SMALL = {"max_models": 1, "max_runtime_secs": 0, "nfolds": 2, "seed": 1}
Spec = dict[str, Any]


def vega(name: str) -> Path:
    """The package would import pandas."""
    found = importlib.util.find_spec("vega_datasets")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "_data" / name


def cars(directory: Path) -> tuple[Path, Spec]:
    """Fuel use of 398 cars, packed, with semicolons, in an encoding that has to be named."""
    rows = [car for car in json.loads(vega("cars.json").read_text()) if car["Miles_per_Gallon"] is not None]
    columns = {"Miles_per_Gallon": "fuel", "Origin": "größe/ort", "Year": "year", "Horsepower": "power"}
    with gzip.open(directory / "cars.csv.gz", "wt", encoding="windows-1252", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(columns.values())
        writer.writerows(["" if row[name] is None else row[name] for name in columns] for row in rows)
    return directory / "cars.csv.gz", {"target": "fuel", "encoding": "windows-1252", "include_algos": ["GBM"]}


def riots(directory: Path) -> tuple[Path, Spec]:
    """Who died in the riots of 1992, as Parquet."""
    pq.write_table(pacsv.read_csv(vega("la-riots.csv")), directory / "riots.parquet")
    features = ["age", "race", "death_date", "type", "longitude"]
    return directory / "riots.parquet", {"target": "gender", "features": features, "include_algos": ["GLM"]}


def weather(_directory: Path) -> tuple[Path, Spec]:
    """Four years of days in Seattle, which are written as H2O doesn't read them."""
    return vega("seattle-weather.csv"), {"target": "weather", "types": {"wind": "enum"}, "include_algos": ["GBM"]}


@pytest.mark.parametrize(
    ("make", "kinds", "problem", "classes", "metric", "bound"),
    [
        (cars, None, "regression", 0, "r2", 0.3),
        (riots, {"age": "numeric", "race": "enum", "death_date": "time"}, "classification", 2, "accuracy", 0.5),
        (weather, {"date": "string", "temp_max": "numeric", "weather": "enum"}, "classification", 5, "accuracy", 0.6),
    ],
)
def test_a_table_from_upload_to_predictions(
    client: Client,
    tmp_path: Path,
    make: Any,
    kinds: dict[str, str] | None,
    problem: str,
    classes: int,
    metric: str,
    bound: float,
) -> None:
    path, spec = make(tmp_path)
    file = client.upload(path)
    table = client.file(file.id).table
    assert table is not None
    if kinds is None:
        assert "set encoding" in (table.problem or "")
    else:
        assert kinds.items() <= table.types.items()

    job = client.submit("train_automl", {"dataset": file, **SMALL, **spec})
    result = succeeded(job)
    assert (result["problem"], result["explanation_missing"]) == (problem, [])
    assert len((result["confusion_matrix"] or {"labels": []})["labels"]) == classes
    assert result["test_metrics"][metric] >= bound
    assert [row.model_id for row in job.leaderboard().rows] == [result["leader"]]
    assert b"data:image/png" in job.download("report.html", tmp_path).read_bytes()

    model = {"job": job.id, "artifact": "model.zip"}
    encoding = {"encoding": spec["encoding"]} if "encoding" in spec else {}
    scored = client.submit("score_table", {"model": model, "dataset": file, "format": "parquet", **encoding})
    assert succeeded(scored)["rows"] == sum(result["rows"].values())
    predictions = pq.read_table(scored.download("predictions.parquet", tmp_path))
    assert predictions.num_rows == sum(result["rows"].values())
    assert len(predictions.column_names) == 1 + classes


def succeeded(job: Job) -> Any:
    record = job.wait(240)
    assert record.state == "succeeded", record.error
    assert record.result is not None
    return record.result
