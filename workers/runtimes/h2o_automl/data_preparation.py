"""Brings a job's checked tables into the cluster as its train, validation and test frames."""

from collections.abc import Mapping
from pathlib import Path

from tasks.contracts import JobContext
from tasks.errors import InvalidInput, JobCancelled, JobStoppedEmpty
from tasks.tables.column_facts import TableFacts
from tasks.tables.csv_table import copy_without_mark
from tasks.tables.parquet_table import copy_as
from tasks.tabular import TableTraining
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.failures import doing
from workers.runtimes.h2o_automl.frames import frame_columns, remove_key, row_count, split_frame, upload_table
from workers.runtimes.h2o_automl.keys import RunKeys
from workers.runtimes.h2o_automl.table_check import CheckedData, require_folds

# What to tell the parser for a frame's column types.
_USABLE = frozenset({"enum", "int", "real", "time"})
_PARSED = {"numeric": "Numeric", "enum": "Enum", "time": "Time", "string": "String"}
_TYPES = {"enum": "Enum", "int": "Numeric", "real": "Numeric", "time": "Time", "string": "String", "uuid": "UUID"}


def heed_stop(job: JobContext) -> None:
    """End an attempt that has nothing to keep yet, if that is asked for."""
    mode = job.should_stop()
    if mode == "cancel":
        raise JobCancelled("The job was cancelled.")
    if mode == "stop":
        raise JobStoppedEmpty("The job was stopped before its first model was ready.")


def prepare_frames(
    client: H2OClient, job: JobContext, spec: TableTraining, keys: RunKeys, data: CheckedData, paths: dict[str, Path]
) -> dict[str, int]:
    """Upload and parse the tables at ``paths`` (by role) and split the dataset; answers the rows of each part. An empty
    part is ``InvalidInput``."""
    split = spec.effective_split
    whole = "train" if split is None else "data"
    _load(client, job, spec, data, data.dataset, paths["dataset"], keys.frame(whole))
    _require_usable(client, job, spec, data, keys.frame(whole))
    if split is not None:
        roles = ["train", "test"] if len(split.ratios) == 2 else ["train", "validation", "test"]
        with doing("splitting the dataset"):
            parts = list(zip((keys.frame(role) for role in roles), split.ratios, strict=True))
            split_frame(client, keys.frame("data"), parts, split.seed)
            remove_key(client, keys.frame("data"))
    for role, facts in data.others.items():
        types = _types_of(client, keys.frame("train"))
        _load(client, job, spec, data, facts, paths[role], keys.frame(role), types)
        _require_values(client, data, facts, role, keys.frame(role))
    counted = frame_rows(client, spec, keys)
    for role, rows in counted.items():
        if rows == 0:
            raise InvalidInput(f"The {role} part has no rows; use more data or other ratios.")
        if role == "train":
            require_folds(spec, rows)
    return counted


def frame_rows(client: H2OClient, spec: TableTraining, keys: RunKeys) -> dict[str, int]:
    """The rows of each part, in the order of ``parts_of``."""
    return {role: row_count(client, keys.frame(role)) for role in parts_of(spec)}


def parts_of(spec: TableTraining) -> tuple[str, ...]:
    split = spec.effective_split
    validated = spec.validation_dataset is not None or (split is not None and len(split.ratios) == 3)
    further = [role for role in spec.datasets if role not in ("dataset", "validation", "test")]
    return ("train", *(("validation",) if validated else ()), "test", *further)


def _types_of(client: H2OClient, key: str) -> dict[str, str]:
    columns = frame_columns(client, key)
    return {column["label"]: _TYPES[column["type"]] for column in columns if column["type"] in _TYPES}


def _require_usable(client: H2OClient, job: JobContext, spec: TableTraining, data: CheckedData, key: str) -> None:
    """Refuse a dataset without any feature that H2O can use, and say of which values it loses some."""
    columns = frame_columns(client, key)
    kinds = {column["label"]: column["type"] for column in columns}
    lost = {column["label"]: column["missing_count"] == data.dataset.rows for column in columns}
    for name, wanted in (spec.types or {}).items():
        if wanted == "time" and (kinds[name] != "time" or lost[name]):
            raise InvalidInput(f"types makes column {name!r} a time, but H2O can read no value of it as one.")
    usable = [name for name in data.features if kinds[name] in _USABLE and name in data.dataset.varying]
    if not usable:
        raise InvalidInput(
            f"There is nothing to learn from: in the features ({', '.join(data.features[:5])}) nearly every row has a "
            "text of its own, and H2O leaves such columns out."
        )
    for name in usable:
        if kinds[name] in ("int", "real") and name in data.dataset.texts:
            row, text = data.dataset.texts[name]
            job.log(
                f"H2O reads column {name!r} as numbers, and what is none as missing: {text[:60]!r} in "
                f"{data.dataset.place(row)}, for one.",
                "warning",
            )


def _require_values(client: H2OClient, data: CheckedData, facts: TableFacts, role: str, key: str) -> None:
    """Refuse a table where nothing of a feature's values can be read as what the dataset has there."""
    for column in frame_columns(client, key):
        name = column["label"]
        lost = name in data.features and name in facts.varying and column["missing_count"] == facts.rows
        if lost and name in data.dataset.varying:
            raise InvalidInput(
                f"No value of column {name!r} of the {role}_dataset can be read as those of the dataset."
            )


def _load(
    client: H2OClient,
    job: JobContext,
    spec: TableTraining,
    data: CheckedData,
    facts: TableFacts,
    path: Path,
    key: str,
    types: Mapping[str, str] | None = None,
) -> None:
    """``types`` are those that columns have to get; H2O guesses the others."""
    if facts.marked:
        copy_without_mark(path, path := job.scratch / "unmarked.csv")
    declared = spec.types or {}
    if facts.separator is None and (facts.fine_times or declared):
        copy_as(path, path := job.scratch / "retyped.parquet", declared)
    kind = "Enum" if data.problem == "classification" else "Numeric"
    response = data.response(spec.target)
    wanted = {**(types or {}), **{name: _PARSED[type_] for name, type_ in declared.items()}}
    missing: dict[str, list[str]] = {}
    renamed: dict[str, str] = {}
    if spec.target is not None:
        wanted[spec.target] = kind
        missing = {spec.target: sorted(facts.target.words)} if facts.target.numeric else {}
        renamed = {} if response == spec.target else {spec.target: response}
    with doing("reading the data"):
        rows = upload_table(
            client,
            path,
            key,
            columns=facts.columns,
            separator=facts.separator,
            types=wanted,
            missing=missing,
            renamed=renamed,
            tick=lambda: heed_stop(job),
        )
    if rows != facts.rows:
        raise InvalidInput(
            f"H2O read {rows} rows where the file has {facts.rows}; look for line breaks or stray quotes inside fields."
        )
