"""Where ledger, witness, rows and watchers tell different stories of the same job."""

from collections import Counter
from collections.abc import Iterator, Sequence

from bench.chaos.evidence import Evidence, Vectors
from bench.chaos.fates import USUAL

_ENDED_WELL = ("succeeded", "SUCCESS")
# Far more than what the neighbours in a batch do to a vector, far less than what tells one text's from another's.
TOLERANCE = 1e-4


def contradictions(evidence: Evidence) -> list[str]:
    return [
        *_entries(evidence),
        *_results(evidence),
        *_ways_to_end(evidence),
        *_doomed(evidence),
        *_broken_promises(evidence),
        *_needless_ends(evidence),
        *_vectors(evidence),
        *_company(evidence),
        *_attempts_run_once(evidence),
        *_late_runs(evidence),
        *_finals(evidence),
    ]


def _entries(evidence: Evidence) -> Iterator[str]:
    """One entry, one job, however often it was submitted."""
    jobs = Counter(end.entry for end in evidence.ends.values())
    yield from (f"entry {entry} became {times} jobs" for entry, times in jobs.items() if times > 1)
    for job_id in evidence.ends:
        if job_id not in evidence.accepted:
            yield f"job {job_id} was never accepted"


def _results(evidence: Evidence) -> Iterator[str]:
    """A job that succeeded has the result of a run that came to its end."""
    done = {(run.job_id, run.attempt, run.pid) for run in evidence.runs if run.ended_at is not None}
    for job_id, end in evidence.ends.items():
        if end.state in _ENDED_WELL and (end.result_of is None or (job_id, *end.result_of) not in done):
            yield f"job {job_id} has the result {end.result_of} of a run that the ledger does not know"


def _ways_to_end(evidence: Evidence) -> Iterator[str]:
    asked = {one.job_id for one in evidence.cancelled}
    for job_id, end in evidence.ends.items():
        fitting = {"cancelled": {"cancelled_by_user"}, "failed": evidence.fates.get(job_id, USUAL).may_fail_by}
        if end.state in fitting and end.reason not in fitting[end.state]:
            yield f"job {job_id} ended {end.state} with {end.reason}"
        if end.state == "cancelled" and job_id not in asked:
            yield f"job {job_id} was cancelled by nobody"


def _doomed(evidence: Evidence) -> Iterator[str]:
    """What can't succeed fails in the end; whoever takes too much memory is told how much it was."""
    for job_id, end in evidence.ends.items():
        if evidence.fates.get(job_id, USUAL).must_fail and end.state in _ENDED_WELL:
            yield f"job {job_id} can't succeed and ended {end.state}"
        if end.state == "failed" and end.reason == "out_of_memory" and not end.peak_bytes:
            yield f"job {job_id} ended out_of_memory, and nothing tells how much it took"


def _broken_promises(evidence: Evidence) -> Iterator[str]:
    """Once a cancel is answered, the job ends by it, whatever its runs come to."""
    for job_id in sorted({one.job_id for one in evidence.cancelled if one.granted}):
        end = evidence.ends.get(job_id)
        if end is not None and end.state != "cancelled":
            yield f"job {job_id} was promised to be cancelled and ended {end.state}"


def _needless_ends(evidence: Evidence) -> Iterator[str]:
    """Who goes when it is cancelled takes no others with it, wherever it was just then."""
    blamed = Counter(attempt.ended_for for attempt in evidence.attempts if attempt.ended_for is not None)
    for job_id, times in blamed.items():
        if evidence.fates.get(job_id, USUAL).ruin is None:
            yield f"job {job_id} had its runner ended for its sake, and {times} attempts beside it"


def _vectors(evidence: Evidence) -> Iterator[str]:
    """Who shares a batch gets what is its own, in the order of its texts, and all of it."""
    for job_id, due in evidence.due_vectors.items():
        end = evidence.ends.get(job_id)
        if end is not None and end.state == "succeeded" and not _alike(end.vectors or (), due):
            yield f"job {job_id} has vectors that are not those of its texts"


def _alike(found: Vectors, due: Vectors) -> bool:
    return [len(vector) for vector in found] == [len(vector) for vector in due] and all(
        abs(one - other) <= TOLERANCE
        for vector, wanted in zip(found, due, strict=True)
        for one, other in zip(vector, wanted, strict=True)
    )


def _company(evidence: Evidence) -> Iterator[str]:
    if evidence.due_vectors and not any(end.in_company for end in evidence.ends.values()):
        yield "no job shared a batch with another one, so nothing is shown of those that do"


def _attempts_run_once(evidence: Evidence) -> Iterator[str]:
    # Without fencing tokens (attempt 0) every run has the same number.
    times = Counter((run.job_id, run.attempt) for run in evidence.runs if run.attempt)
    yield from (f"attempt {attempt} of job {job_id} ran {n} times" for (job_id, attempt), n in times.items() if n > 1)


def _late_runs(evidence: Evidence) -> Iterator[str]:
    """No attempt begins after its job's end, unless it was claimed before."""
    ended = {write.job_id: write for write in evidence.writes if write.ends}
    for run in evidence.runs:
        end = ended.get(run.job_id)
        if end is None or run.attempt <= end.attempt:
            continue
        yield f"attempt {run.attempt} of job {run.job_id} ran after its end by attempt {end.attempt}"


def _finals(evidence: Evidence) -> Iterator[str]:
    ended = {write.job_id: (write.attempt, write.new_state) for write in evidence.writes if write.ends}
    if evidence.stored_finals is not None:
        for job_id in ended:
            if evidence.stored_finals.get(job_id, 0) < 1:
                yield f"job {job_id} ended without a final event"
    for source, heard in (("watchers", evidence.told), ("webhooks", evidence.webhooks)):
        for job_id, finals in heard.items():
            yield from _differing(source, job_id, {(final.attempt, final.state) for final in finals}, ended.get(job_id))


def _differing(source: str, job_id: str, told: set[tuple[int, str]], ended: tuple[int, str] | None) -> Sequence[str]:
    return [] if told == {ended} else [f"{source} were told {sorted(told)} of job {job_id}, which ended {ended}"]
