"""Refuses data that H2O would fail on, or train nothing from, before anything goes to the cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tasks.errors import InvalidInput
from tasks.tables.column_facts import TableFacts, TargetFacts
from tasks.tables.csv_table import read_csv
from tasks.tables.formats import is_parquet
from tasks.tables.parquet_table import read_parquet
from tasks.tabular import TableTraining
from workers.runtimes.h2o_automl.keys import response_name

FEWEST_ROWS = 20
MOST_CLASSES = 1000
Problem = Literal["classification", "regression", "unsupervised"]
# At most this many distinct whole numbers are taken for classes rather than amounts.
MOST_NUMBERED_CLASSES = 20


@dataclass(frozen=True)
class CheckedData:
    """The tables of a spec, read through and found fit, and what they mean. ``others`` are those beside the dataset, by
    role; ``classes`` is 0 unless there are any."""

    dataset: TableFacts
    problem: Problem
    features: tuple[str, ...]
    classes: int
    others: Mapping[str, TableFacts] = field(default_factory=dict)

    @property
    def tables(self) -> tuple[TableFacts, ...]:
        return (self.dataset, *self.others.values())

    def response(self, target: str | None) -> str:
        """What the target column is called in the cluster; nothing without one."""
        if target is None:
            return ""
        return response_name(target, (name for table in self.tables for name in table.columns))


def option_of(role: str) -> str:
    """The option that names the table of a role."""
    return role if role == "dataset" else f"{role}_dataset"


def check_tables(spec: TableTraining, dataset: Path, others: Mapping[str, Path]) -> CheckedData:
    """Read all tables of the spec through, the ``others`` by role. Raises ``InvalidInput`` that names what is wrong and
    says what to do."""
    special = list(spec.special_columns.values())
    facts = _read(dataset, "dataset", spec.target, [*(spec.features or ()), *special, *(spec.types or ())])
    _refuse_texts_among_numbers(spec, facts, "dataset")
    problem, classes = _problem(spec, facts)
    strings = {name for name, kind in (spec.types or {}).items() if kind == "string"}
    taken = {spec.target, *special, *facts.unnamed_index, *strings}
    features = spec.features or [name for name in facts.columns if name not in taken]
    _require_features(spec, facts, features)
    _refuse_decimal_commas(spec, facts, features)
    if spec.target is not None:
        _require_target(spec.target, problem, facts)
    _require_rows(spec, facts)
    checked: dict[str, TableFacts] = {}
    for role, path in others.items():
        checked[role] = _check_other(path, option_of(role), spec.target, features, problem, facts)
        _refuse_texts_among_numbers(spec, checked[role], option_of(role))
    factors = spec.sampling_factors
    if factors is not None and len(factors) != classes:
        raise InvalidInput(f"class_sampling_factors has {len(factors)} numbers for {classes} classes.")
    return CheckedData(facts, problem, tuple(features), classes, checked)


def _problem(spec: TableTraining, facts: TableFacts) -> tuple[Problem, int]:
    """What the target poses, and how many classes it has."""
    if spec.target is None:
        return "unsupervised", 0
    _refuse_spoilt_numbers(spec, spec.target, facts)
    problem = decide_problem(spec.problem, facts.target)
    complaint = spec.misfit(problem)
    if complaint is not None:
        raise InvalidInput(f"The target {spec.target!r} makes this {problem}, and {complaint}.")
    classes = len(facts.target.counts) if problem == "classification" else 0
    complaint = spec.class_misfit(classes) if classes else None
    if complaint is not None:
        raise InvalidInput(f"The target {spec.target!r} has {classes} classes, and {complaint}.")
    return problem, classes


def decide_problem(
    asked: Literal["auto", "classification", "regression"], target: TargetFacts
) -> Literal["classification", "regression"]:
    """What ``problem: auto`` means for a target: classes if it is text, true/false, or few distinct whole numbers."""
    if asked != "auto":
        return asked
    return "classification" if not target.numeric or (target.whole_numbers and _few(target)) else "regression"


def _few(target: TargetFacts) -> bool:
    return len(target.counts) <= min(MOST_NUMBERED_CLASSES, max(2, target.present // 2))


def _read(
    path: Path,
    role: str,
    target: str | None,
    wanted: Sequence[str],
    *,
    classes: frozenset[str] | None = None,
) -> TableFacts:
    if not path.is_file():
        raise InvalidInput(f"The file of the {role} is no longer in the store; upload it again.")
    read = read_parquet if is_parquet(path) else read_csv
    facts = read(path, role, target, wanted, classes=classes)
    if facts.rows == 0:
        raise InvalidInput(f"The {role} has a header but no rows.")
    return facts


def _check_other(
    path: Path, role: str, target: str | None, features: Sequence[str], problem: str, training: TableFacts
) -> TableFacts:
    classes = frozenset(training.target.counts) if problem == "classification" else None
    facts = _read(path, role, target, features, classes=classes)
    for name in features:
        # Where the dataset has texts too, H2O either learns them or reads them as missing in both.
        if name in facts.texts and name in training.varying and name not in training.texts:
            row, text = facts.texts[name]
            raise InvalidInput(
                f"Column {name!r} of the {role} has the text {text[:60]!r} in {facts.place(row)}, but only numbers in "
                "the dataset."
            )
    if target is None:
        return facts
    if facts.target.present == 0:
        raise InvalidInput(f"The target {target!r} is missing in every row of the {role}.")
    if problem == "classification":
        unknown = facts.target.first_unknown
        if unknown is not None:
            raise InvalidInput(
                f"The {role} has the class {unknown[1][:60]!r} in {target!r} ({facts.place(unknown[0])}), which the "
                "dataset doesn't have."
            )
    else:
        _require_numbers(target, facts, role)
    return facts


def _refuse_texts_among_numbers(spec: TableTraining, facts: TableFacts, role: str) -> None:
    for name, kind in (spec.types or {}).items():
        if kind == "numeric" and name in facts.texts:
            row, text = facts.texts[name]
            raise InvalidInput(
                f"types makes column {name!r} numeric, but the {role} has the text {text[:60]!r} in {facts.place(row)}."
            )


def _refuse_decimal_commas(spec: TableTraining, facts: TableFacts, features: Sequence[str]) -> None:
    for name in features:
        if name in facts.decimal_commas and name not in (spec.types or ()):
            row, text = facts.texts[name]
            raise InvalidInput(
                f"Column {name!r} of the dataset has {text[:60]!r} in {facts.place(row)}, a number with a comma, which "
                "H2O takes for a text; write numbers as 1234.5, or name the column an enum in types if it holds "
                "categories."
            )


def _require_features(spec: TableTraining, facts: TableFacts, features: Sequence[str]) -> None:
    if not features:
        purpose = "learn from" if spec.target is None else "predict from"
        raise InvalidInput(f"The dataset has no column left to {purpose}.")
    for option, names in spec.named_features.items():
        for column in names:
            if column not in features:
                raise InvalidInput(f"{option} names {column!r}, which is not one of the features.")
    if not facts.varying & set(features) and facts.rows > 1:
        raise InvalidInput("Every feature has the same value in all rows, so there is nothing to learn from.")


def _require_target(target: str, problem: str, facts: TableFacts) -> None:
    if facts.target.present == 0:
        raise InvalidInput(f"The target {target!r} is missing in every row.")
    if problem == "regression":
        _require_numbers(target, facts, "dataset")
        if facts.target.lowest == facts.target.highest:
            raise InvalidInput(f"The target {target!r} has the same value in every row, so there is nothing to learn.")
        return
    classes = len(facts.target.counts)
    if classes < 2:
        raise InvalidInput(f"The target {target!r} has only one class ({next(iter(facts.target.counts))!r}).")
    if classes > MOST_CLASSES or (classes > 50 and classes > facts.target.present // 2):
        many = f"more than {MOST_CLASSES}" if classes > MOST_CLASSES else str(classes)
        advice = "set problem to regression" if facts.target.numeric else "choose a column with fewer"
        raise InvalidInput(f"The target {target!r} has {many} different values, too many for classes; {advice}.")


def _refuse_spoilt_numbers(spec: TableTraining, name: str, facts: TableFacts) -> None:
    """Refuse to take a target of numbers for classes because of a few values that aren't written as numbers."""
    target = facts.target
    if spec.problem != "auto":
        return
    if target.numeric and target.whole_numbers and _few(target):
        _refuse_double_classes(name, target)
    if target.first_text is None:
        return
    amounts = target.numbers > target.present / 2 and not (target.whole_numbers and _few(target))
    if not target.foreign and not amounts:
        return
    row, text = target.first_text
    advice = _advice(target) or "; correct it, or leave it empty"
    raise InvalidInput(
        f"The target {name!r} has {text[:60]!r} in {facts.place(row)}, which isn't written as a "
        f"plain number{advice}. If the values are classes, set problem to classification."
    )


def _refuse_double_classes(name: str, target: TargetFacts) -> None:
    """Refuse classes that are the same number: H2O takes 1 and 1.0 for two."""
    written: dict[float, str] = {}
    for text in target.counts:
        other = written.setdefault(float(text), text)
        if other != text:
            raise InvalidInput(
                f"The target {name!r} has both {other!r} and {text!r}, which H2O takes for two classes; write the "
                "number the same way everywhere. If they are different classes, set problem to classification."
            )


def _require_numbers(target: str, facts: TableFacts, role: str) -> None:
    if not facts.target.numeric:
        row, text = facts.target.first_text or (1, "")
        raise InvalidInput(
            f"Regression needs numbers in the target {target!r}, but the {role} has {text[:60]!r} in "
            f"{facts.place(row)}{_advice(facts.target)}."
        )


def _require_rows(spec: TableTraining, facts: TableFacts) -> None:
    usable = facts.rows if spec.target is None else facts.target.present
    if usable < FEWEST_ROWS:
        which = "rows" if spec.target is None else f"rows with a value of the target {spec.target!r}"
        raise InvalidInput(f"The dataset has {usable} {which}; training and testing need at least {FEWEST_ROWS}.")
    split = spec.effective_split
    require_folds(spec, facts.rows if split is None else round(facts.rows * split.ratios[0]))


def require_folds(spec: TableTraining, rows: int) -> None:
    """Refuse more folds than there are rows to train on."""
    if spec.folds > rows:
        raise InvalidInput(
            f"Cross-validation in {spec.folds} folds (nfolds) needs at least as many rows, but {rows} of the dataset's "
            "are for training; use fewer folds or more rows."
        )


def _advice(target: TargetFacts) -> str:
    return "; write numbers as 1234.5, with a point and no other signs" if target.foreign else ""
