"""What jobs that share a runner and its batches may do to each other, and what the harness finds of it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.chaos.due_vectors import require_different
from bench.chaos.evidence import Attempt, Cancelled, End, Evidence, Final
from bench.chaos.inference_stream import ENDER, LINGERER, SOUND
from bench.chaos.ledger import Run
from bench.chaos.reckoning import reckon
from bench.chaos.witness import Write

WORKER, RUNNER, NEXT_RUNNER = 10, 11, 12
ITS, OTHERS = [0.1, -0.2], [0.3, 0.4]


def attempts_of(job_id: str, outcome: str, reason: str | None) -> list[Attempt]:
    """One beside the other job, which ended at 5.0 as is said, and one that succeeded later."""
    first = Attempt(job_id, 1, WORKER, 3.9, 5.0, outcome, reason)
    return [first, Attempt(job_id, 2, WORKER, 8.0, 9.0, "succeeded", "completed")]


@pytest.fixture
def ended() -> Evidence:
    """Job a shared a runner with job b, which ended it; a ran again and succeeded, b failed."""
    return Evidence(
        accepted={"a": ("e1", 0.5), "b": ("e2", 0.6)},
        runs=[
            Run("e1", "a", 1, RUNNER, WORKER, 4.0),
            Run("e2", "b", 1, RUNNER, WORKER, 4.5),
            Run("e1", "a", 2, NEXT_RUNNER, WORKER, 8.1, 8.6),
        ],
        writes=[Write("b", "running", "failed", 1, False, 5.0), Write("a", "running", "succeeded", 2, True, 9.0)],
        ends={
            "a": End("e1", "succeeded", "completed", 2, (2, NEXT_RUNNER), None, [ITS, OTHERS], True),
            "b": End("e2", "failed", "worker_lost", 1, None),
        },
        harms=[],
        attempts=[
            *attempts_of("a", "lost", "worker_lost"),
            Attempt("b", 1, WORKER, 4.4, 5.0, "lost", "worker_lost"),
        ],
        stored_finals={"a": 1, "b": 1},
        fates={"a": SOUND, "b": ENDER},
        due_vectors={"a": [ITS, OTHERS]},
    )


@pytest.fixture
def lingered(ended: Evidence) -> Evidence:
    """Job b did not go when it was cancelled, so that the runner was ended for its sake and job a begun anew."""
    first, second = attempts_of("a", "handed_back", None)
    return replace(
        ended,
        writes=[Write("b", "running", "cancelled", 1, False, 5.0), ended.writes[1]],
        ends={**ended.ends, "b": End("e2", "cancelled", "cancelled_by_user", 1, None)},
        attempts=[
            replace(first, ended_for="b"),
            second,
            Attempt("b", 1, WORKER, 4.4, 5.0, "cancelled", "cancelled_by_user"),
        ],
        cancelled=[Cancelled("b", 4.6, granted=True)],
        fates={"a": SOUND, "b": LINGERER},
    )


def test_a_neighbour_that_ends_the_runner_explains_the_runs_beside_it(ended: Evidence) -> None:
    found = reckon(ended)
    assert found.is_clean, found
    assert found.extra == {"job that ends its runner": 1}
    assert found.in_company == 1


def test_so_does_one_for_whose_sake_the_runner_was_ended(lingered: Evidence) -> None:
    found = reckon(lingered)
    assert found.is_clean, found
    assert found.extra == {"job that ignores its cancel": 1}


def test_who_would_have_gone_may_take_nobody_with_it(lingered: Evidence) -> None:
    found = reckon(replace(lingered, fates={"a": SOUND, "b": SOUND}))
    assert found.contradictions == ["job b had its runner ended for its sake, and 1 attempts beside it"]


ELSEWHERE: dict[str, Callable[[Evidence], Evidence]] = {
    "in another runner": lambda e: replace(e, runs=[e.runs[0], replace(e.runs[1], pid=NEXT_RUNNER), e.runs[2]]),
    "after the attempt": lambda e: replace(e, runs=[e.runs[0], replace(e.runs[1], began_at=7.0), e.runs[2]]),
    "and came to nothing": lambda e: replace(
        e, attempts=[*e.attempts[:2], replace(e.attempts[2], outcome="succeeded", reason="completed")]
    ),
    "while another death took the run": lambda e: replace(
        e, attempts=[*attempts_of("a", "lost", "out_of_memory"), e.attempts[2]]
    ),
    "as everybody does": lambda e: replace(e, fates={}),
}


@pytest.mark.parametrize("plant", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_neighbour_that_ran_elsewhere_explains_nothing(
    ended: Evidence, plant: Callable[[Evidence], Evidence]
) -> None:
    found = reckon(plant(ended))
    assert [run.job_id for run in found.unexplained] == ["a"]


def with_vectors(evidence: Evidence, vectors: list[list[float]] | None) -> Evidence:
    return replace(evidence, ends={**evidence.ends, "a": replace(evidence.ends["a"], vectors=vectors)})


MIXED_UP: dict[str, list[list[float]] | None] = {
    "a neighbour's": [ITS, [0.5, 0.5]],
    "in another order": [OTHERS, ITS],
    "one too few": [ITS],
    "one too many": [ITS, OTHERS, ITS],
    "cut off": [ITS, OTHERS[:1]],
    "none": None,
}


@pytest.mark.parametrize("vectors", MIXED_UP.values(), ids=MIXED_UP)
def test_outputs_that_are_not_a_jobs_own_are_found(ended: Evidence, vectors: list[list[float]] | None) -> None:
    found = reckon(with_vectors(ended, vectors))
    assert found.contradictions == ["job a has vectors that are not those of its texts"]
    assert not found.is_clean


def test_what_padding_does_to_a_vector_is_no_difference(ended: Evidence) -> None:
    assert reckon(with_vectors(ended, [[0.100003, -0.199996], OTHERS])).is_clean


def test_texts_that_could_pass_for_each_other_would_prove_nothing() -> None:
    require_different({"one": ITS, "other": OTHERS})
    with pytest.raises(ValueError, match="can't be told apart"):
        require_different({"one": ITS, "other": [0.1001, -0.2001]})


TALES: dict[str, Callable[[Evidence], Evidence]] = {
    "nobody shared a batch": lambda e: replace(e, ends={**e.ends, "a": replace(e.ends["a"], in_company=False)}),
    "a neighbour failed for good": lambda e: replace(
        e, ends={**e.ends, "a": End("e1", "failed", "worker_lost", 2, None)}
    ),
    "what can't succeed did": lambda e: replace(e, fates={**e.fates, "a": ENDER}),
    "a promised cancel was forgotten": lambda e: replace(e, cancelled=[Cancelled("a", 4.2, granted=True)]),
}


@pytest.mark.parametrize("plant", TALES.values(), ids=TALES)
def test_other_wrongs_among_neighbours_are_found(ended: Evidence, plant: Callable[[Evidence], Evidence]) -> None:
    assert reckon(plant(ended)).contradictions


def test_a_cancel_that_came_too_late_promised_nothing(ended: Evidence) -> None:
    told = {"a": [Final("a", 7, 2, "succeeded")]}
    assert reckon(replace(ended, cancelled=[Cancelled("a", 9.1)], told=told)).is_clean
