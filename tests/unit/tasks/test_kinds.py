import sys
from pathlib import Path

import pytest

from db.states import Reason
from tasks import errors
from tasks.contracts import ArtifactInput, FileInput, Input, JobSpec, ModelInput
from tasks.inputs import inputs_of, with_inputs
from tasks.queues import Queue
from tasks.registry import kind_named, load_kinds

KIND = """
from datetime import timedelta
from typing import Literal
from tasks.contracts import JobContext, JobResult, JobSpec
from tasks.kind import kind
from tasks.queues import Queue

class {name}(JobSpec):
    kind: Literal["{kind}"] = "{kind}"

class Done(JobResult):
    pass

@kind(queues=(Queue.CPU,), time_limit=timedelta(seconds=1), max_attempts=1)
def run(spec: {name}, job: JobContext) -> Done:
    return Done()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """An importable package of the test's own, for kinds."""
    name = "kinds_" + request.node.name.replace("[", "_").replace("]", "_")
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / name


def test_a_dropped_in_file_is_a_kind(package: Path) -> None:
    (package / "greet_people.py").write_text(KIND.format(name="GreetPeople", kind="greet_people"))
    kinds = load_kinds([package.name])
    assert kinds["greet_people"].spec.__name__ == "GreetPeople"
    assert {"train_automl", "check_worker"} < set(kinds)
    sys.modules.pop(f"{package.name}.greet_people")


def test_a_file_without_a_kind_is_an_error(package: Path) -> None:
    (package / "nothing.py").touch()
    with pytest.raises(ValueError, match="declares 0 kinds"):
        load_kinds([package.name])


def test_a_kind_declared_twice_is_an_error(package: Path) -> None:
    (package / "check_worker.py").write_text(KIND.format(name="Check", kind="check_worker"))
    with pytest.raises(ValueError, match="'check_worker' is declared twice"):
        load_kinds([package.name])


def test_what_is_freed_is_handed_to_no_retry(package: Path) -> None:
    both = "clean_up=print, portable_checkpoint=True, "
    text = KIND.format(name="Greet", kind="greet_people").replace("@kind(", f"@kind({both}")
    (package / "greet_people.py").write_text(text)
    with pytest.raises(ValueError, match="can't hand that checkpoint"):
        load_kinds([package.name])


def test_an_automl_s_checkpoint_names_its_own_job_s_things() -> None:
    assert not load_kinds()["train_automl"].portable_checkpoint


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    known = load_kinds()
    assert {"check_worker", "train_automl"} <= set(known)
    with pytest.raises(errors.InvalidInput, match=f"known kinds: {', '.join(sorted(known))}"):
        kind_named(known, "train_autml")


def all_errors(error: type[errors.JobError]) -> list[type[errors.JobError]]:
    return [error, *(deeper for child in error.__subclasses__() for deeper in all_errors(child))]


@pytest.mark.parametrize("error", all_errors(errors.JobError))
def test_every_error_s_code_is_a_reason(error: type[errors.JobError]) -> None:
    assert error.code in set(Reason)


def test_every_kind_says_what_it_does() -> None:
    for kind in load_kinds().values():
        assert kind.doc
        assert kind.spec.model_json_schema()["properties"]["kind"]["const"] == kind.name


def test_what_prefers_a_gpu_runs_without_one_too() -> None:
    for kind in load_kinds().values():
        assert kind.fallback == (kind.default_queue == Queue.GPU), kind.name


def test_inputs_are_found_wherever_they_stand() -> None:
    class Nested(JobSpec):
        kind: str = "any"
        one: Input
        many: list[Input]
        named: dict[str, Input]

    one, two, three = FileInput(file="a"), ArtifactInput(job="b", artifact="c"), FileInput(file="d")
    assert list(inputs_of(Nested(one=one, many=[two], named={"x": three}))) == [
        ("spec.one", one),
        ("spec.many.0", two),
        ("spec.named.x", three),
    ]


def test_other_inputs_are_put_in_their_places() -> None:
    class Reading(JobSpec):
        kind: str = "any"
        one: Input | None = None
        many: tuple[Input, ...] = ()
        named: dict[str, Input] | None = None
        limit: int = 3

    spec = Reading(one=ModelInput(model="a"), named={"f": FileInput(file="f"), "m": ModelInput(model="b")})
    pinned = with_inputs(
        spec, lambda value: value.model_copy(update={"version": 2}) if isinstance(value, ModelInput) else value
    )
    assert pinned.model_dump(exclude_unset=True) == {
        "one": {"model": "a", "version": 2},
        "named": {"f": {"file": "f"}, "m": {"model": "b", "version": 2}},
    }
    assert with_inputs(spec, lambda value: value) is spec
