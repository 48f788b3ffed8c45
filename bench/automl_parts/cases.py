"""Real tables that come in packages, and the source's example, each as a CSV file with what to train on it."""

import csv
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sklearn import datasets

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Case:
    """``features`` None means all columns but the target; ``options`` are H2O's, the same on both sides."""

    name: str
    path: Path
    target: str
    is_classification: bool
    features: Sequence[str] | None = None
    ratios: Sequence[float] = (0.8, 0.2)
    split_seed: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)


# Limited by models, and without DeepLearning, H2O trains the same models again.
REPEATABLE = {"max_models": 5, "max_runtime_secs": 0, "seed": 2, "nfolds": 3, "exclude_algos": ["DeepLearning"]}


def circle(directory: Path) -> Case:
    """The example of the project's source."""
    sys.path.insert(0, str(ROOT / "examples"))
    import circle

    return Case(
        "circle",
        circle.write_circle(directory / "circle.csv"),
        "y",
        True,
        ("x1", "x2"),
        (0.6, 0.2, 0.2),
        133,
        {"max_models": 10, "max_runtime_secs": 100, "seed": 2},
    )


def real_cases(directory: Path) -> list[Case]:
    """Two classes, more classes, numbers; texts, dates and missing values."""
    return [
        _of_sklearn(directory, "breast_cancer", is_classification=True),
        _of_sklearn(directory, "iris", is_classification=True),
        _of_sklearn(directory, "wine", is_classification=True),
        _of_sklearn(directory, "digits", is_classification=True),
        _of_sklearn(directory, "diabetes", is_classification=False),
        _cars(directory),
        Case("weather", _vega("seattle-weather.csv"), "weather", True, options=REPEATABLE),
    ]


def _of_sklearn(directory: Path, name: str, *, is_classification: bool) -> Case:
    data = getattr(datasets, f"load_{name}")()
    # H2O reads a name with blanks as one, but its client quotes it in some calls and not in others.
    columns = [str(column).replace(" ", "_") for column in data.feature_names]
    rows = ([*map(float, row), label] for row, label in zip(data.data, data.target, strict=True))
    path = _write(directory / f"{name}.csv", [*columns, "target"], rows)
    return Case(name, path, "target", is_classification, options=REPEATABLE)


def _cars(directory: Path) -> Case:
    """Fuel use of 398 cars, with texts, dates and missing values."""
    cars = [car for car in json.loads(_vega("cars.json").read_text()) if car["Miles_per_Gallon"] is not None]
    columns = [name for name in cars[0] if name != "Name"]
    path = _write(directory / "cars.csv", columns, ([car[name] for name in columns] for car in cars))
    return Case("cars", path, "Miles_per_Gallon", False, options=REPEATABLE)


def _vega(name: str) -> Path:
    spec = importlib.util.find_spec("vega_datasets")
    if spec is None or spec.origin is None:
        raise SystemExit("This benchmark needs the package vega-datasets: pip install vega-datasets.")
    return Path(spec.origin).parent / "_data" / name


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path
