"""The reckoning finds what is planted: a loss, a second commit, a run that is nobody's fault, and tales that differ."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.chaos.evidence import Attempt, Cancelled, End, Evidence, Final, Harm
from bench.chaos.fates import EATER
from bench.chaos.ledger import Run
from bench.chaos.reckoning import reckon
from bench.chaos.witness import Write

WORKER, OTHER_WORKER, RUNNER, OTHER_RUNNER = 10, 20, 11, 21


def run(job_id: str, attempt: int, at: float, *, pid: int = RUNNER, parent: int = WORKER, ends: bool = True) -> Run:
    return Run(f"entry-{job_id}", job_id, attempt, pid, parent, at, at + 0.5 if ends else None)


def end(job_id: str, *, attempt: int = 1, pid: int = RUNNER) -> End:
    return End(f"entry-{job_id}", "succeeded", "completed", attempt, (attempt, pid))


def write(job_id: str, *, attempt: int = 1, at: float = 2.0) -> Write:
    return Write(job_id, "running", "succeeded", attempt, True, at)


def tried(job_id: str, attempt: int, at: float, outcome: str, *, worker: int = WORKER, until: float = 2.0) -> Attempt:
    return Attempt(job_id, attempt, worker, at, until, outcome, "worker_lost" if outcome == "lost" else None)


@pytest.fixture
def clean() -> Evidence:
    """Job a ran once. Job b's worker was killed at 5.0 while b ran; it was claimed again at 15.0 and ran at 15.2."""
    return Evidence(
        accepted={"a": ("entry-a", 0.5), "b": ("entry-b", 0.6)},
        runs=[
            run("a", 1, 1.0),
            run("b", 1, 4.9, ends=False),
            run("b", 2, 15.2, pid=OTHER_RUNNER, parent=OTHER_WORKER),
        ],
        writes=[write("a"), write("b", attempt=2, at=16.0)],
        ends={"a": end("a"), "b": end("b", attempt=2, pid=OTHER_RUNNER)},
        harms=[Harm("SIGKILL worker", 5.0, 5.1, frozenset({WORKER, RUNNER}))],
        attempts=[
            tried("a", 1, 0.9, "succeeded"),
            tried("b", 1, 4.8, "lost", until=10.0),
            tried("b", 2, 15.0, "succeeded", worker=OTHER_WORKER, until=16.0),
        ],
        stored_finals={"a": 1, "b": 1},
        told={"a": [Final("a", 4, 1, "succeeded")]},
    )


def test_a_kill_explains_the_run_that_it_cut_short(clean: Evidence) -> None:
    found = reckon(clean)
    assert found.is_clean
    assert (found.accepted, found.jobs_run, found.runs, found.committed.total()) == (2, 2, 3, 2)
    assert found.extra == {"SIGKILL worker": 1}
    assert found.to_claimed == {"SIGKILL worker": [pytest.approx(10.0)]}
    assert found.to_running == {"SIGKILL worker": [pytest.approx(10.2)]}


def test_an_accepted_job_that_never_ended_is_lost(clean: Evidence) -> None:
    found = reckon(replace(clean, accepted={**clean.accepted, "c": ("entry-c", 0.7)}))
    assert found.lost == ["c"]
    assert not found.is_clean


def test_what_its_queue_still_holds_is_not_lost_but_not_back(clean: Evidence) -> None:
    accepted = {**clean.accepted, "c": ("entry-c", 0.7)}
    found = reckon(replace(clean, accepted=accepted, waiting=frozenset({"c"})))
    assert (found.lost, found.waiting) == ([], ["c"])
    assert not found.is_clean


LATE = Write("a", "succeeded", "succeeded", 1, False, 3.0)
TWICE: dict[str, Callable[[Evidence], Evidence]] = {
    "ended again": lambda e: replace(e, writes=[*e.writes, write("a", attempt=2)]),
    "another result": lambda e: replace(e, writes=[*e.writes, Write("a", "running", "running", 1, True, 1.9)]),
    "written to after its end": lambda e: replace(e, writes=[*e.writes, LATE]),
    "two final events": lambda e: replace(e, stored_finals={"a": 2, "b": 1}),
    "told twice": lambda e: replace(e, told={"a": [*e.told["a"], Final("a", 6, 1, "succeeded")]}),
    "delivered twice": lambda e: replace(
        e, webhooks={"a": [Final("a", 4, 1, "succeeded"), Final("a", 6, 1, "failed")]}
    ),
}


@pytest.mark.parametrize("plant", TWICE.values(), ids=TWICE)
def test_a_second_commit_is_found(clean: Evidence, plant: Callable[[Evidence], Evidence]) -> None:
    found = reckon(plant(clean))
    assert found.twice == ["a"]
    assert not found.is_clean


def test_the_same_final_told_again_after_a_broken_stream_is_one(clean: Evidence) -> None:
    assert reckon(replace(clean, told={"a": clean.told["a"] * 2})).is_clean


INNOCENT = {
    "another process": Harm("SIGKILL runner", 5.0, 5.1, frozenset({OTHER_RUNNER})),
    "long before": Harm("SIGKILL worker", 1.0, 1.1, frozenset({WORKER})),
    "after the next run began": Harm("SIGKILL worker", 15.5, 15.6, frozenset({WORKER})),
    "after the attempt was over": Harm("SIGKILL worker", 12.0, 12.1, frozenset({WORKER})),
    "by another death": Harm("job that eats memory", 4.9, 5.0, frozenset({RUNNER}), "out_of_memory"),
    "no process at all": Harm("FLUSHALL", 5.0, 5.1),
}


@pytest.mark.parametrize("harm", INNOCENT.values(), ids=INNOCENT)
def test_a_fault_that_did_not_hit_the_run_does_not_explain_it(clean: Evidence, harm: Harm) -> None:
    found = reckon(replace(clean, harms=[harm]))
    assert [one.attempt for one in found.unexplained] == [1]
    assert not found.is_clean


def test_a_full_disk_explains_what_failed_by_it(clean: Evidence) -> None:
    failed = Attempt("b", 1, WORKER, 4.8, 5.4, "failed", "storage_error")
    others = [attempt for attempt in clean.attempts if (attempt.job_id, attempt.attempt) != ("b", 1)]
    full = Harm("disk full", 4.0, 6.0, reason="storage_error")
    assert reckon(replace(clean, attempts=[failed, *others], harms=[full])).extra == {"disk full": 1}
    elsewhen = replace(full, at=0.0, until=1.0)
    assert reckon(replace(clean, attempts=[failed, *others], harms=[elsewhen])).unexplained


def eating(evidence: Evidence, **other: object) -> Evidence:
    """Job b takes too much memory: nobody else is to blame for its first attempt."""
    starved = [replace(one, outcome="lost", reason="out_of_memory") for one in evidence.attempts if one.job_id == "b"]
    ended = End("entry-b", "failed", "out_of_memory", 2, None, 300_000_000)
    return replace(
        evidence,
        harms=[],
        attempts=[evidence.attempts[0], *starved],
        writes=[evidence.writes[0], Write("b", "running", "failed", 2, False, 16.0)],
        ends={**evidence.ends, "b": replace(ended, **other)},  # type: ignore[arg-type]
        fates={"b": EATER},
    )


def test_who_takes_too_much_memory_is_to_blame_itself(clean: Evidence) -> None:
    found = reckon(eating(clean))
    assert found.is_clean, found
    assert found.extra == {"job that eats memory": 1}


def test_nobody_else_may_starve_by_it(clean: Evidence) -> None:
    found = reckon(replace(eating(clean), fates={}))
    assert found.unexplained
    assert found.contradictions


@pytest.mark.parametrize("other", [{"state": "succeeded"}, {"peak_bytes": None}], ids=["got through", "no peak"])
def test_who_takes_too_much_fails_and_is_told_how_much(clean: Evidence, other: dict[str, object]) -> None:
    assert reckon(eating(clean, **other)).contradictions


TALES: dict[str, Callable[[Evidence], Evidence]] = {
    "result of no run": lambda e: replace(e, ends={**e.ends, "a": end("a", pid=99)}),
    "result of a run that did not end": lambda e: replace(e, runs=[run("a", 1, 1.0, ends=False), *e.runs[1:]]),
    "one entry, two jobs": lambda e: replace(e, ends={**e.ends, "b": replace(e.ends["b"], entry="entry-a")}),
    "never accepted": lambda e: replace(e, accepted={"b": e.accepted["b"]}),
    "cancelled by nobody": lambda e: replace(
        e, ends={**e.ends, "a": End("entry-a", "cancelled", "cancelled_by_user", 1, None)}
    ),
    "failed for no reason of ours": lambda e: replace(
        e, ends={**e.ends, "a": End("entry-a", "failed", "internal_error", 1, None)}
    ),
    "one attempt, two runs": lambda e: replace(e, runs=[*e.runs, run("a", 1, 1.1)]),
    "run after its end": lambda e: replace(e, runs=[*e.runs, run("a", 2, 3.0)]),
    "no final event": lambda e: replace(e, stored_finals={"b": 1}),
    "told otherwise": lambda e: replace(e, told={"a": [Final("a", 4, 1, "failed")]}),
}


@pytest.mark.parametrize("plant", TALES.values(), ids=TALES)
def test_tales_that_differ_are_found(clean: Evidence, plant: Callable[[Evidence], Evidence]) -> None:
    found = reckon(plant(clean))
    assert found.contradictions
    assert not found.is_clean


def test_a_cancel_counts_from_its_request_to_the_committed_end(clean: Evidence) -> None:
    cancelled = replace(
        clean,
        writes=[Write("a", "running", "cancelled", 1, False, 1_000_002.5), clean.writes[1]],
        ends={**clean.ends, "a": End("entry-a", "cancelled", "cancelled_by_user", 1, None)},
        told={"a": [Final("a", 4, 1, "cancelled")]},
        cancelled=[Cancelled("a", 2.0), Cancelled("b", 2.0)],
        wall_minus_monotonic=1_000_000.0,
    )
    found = reckon(cancelled)
    assert found.is_clean
    assert found.to_cancelled == [pytest.approx(0.5)]


def test_what_flows_again_is_a_job_that_was_accepted_since(clean: Evidence) -> None:
    """Job b was accepted before Redis died, so its run may come of a hint that was taken before."""
    flushed = Harm("SIGKILL Redis", 0.55, 0.9)
    accepted = {"a": ("entry-a", 0.5), "b": ("entry-b", 0.6)}
    found = reckon(replace(clean, accepted=accepted, harms=[*clean.harms, flushed]))
    assert found.to_flowing == {"SIGKILL Redis": [pytest.approx(4.0)]}
