"""Where ledger, witness, rows and watchers tell different stories of the same job."""

from collections import Counter
from collections.abc import Iterator, Sequence

from bench.chaos.evidence import Evidence

_ENDED_WELL = ("succeeded", "SUCCESS")
# How jobs of the stream may end otherwise. A job that lost what it ran on at the cap has its attempts to show for it.
_REASONS = {"cancelled": {"cancelled_by_user"}, "failed": {"worker_lost"}}
_REASONS_OF_EATERS = {**_REASONS, "failed": {"worker_lost", "out_of_memory"}}


def contradictions(evidence: Evidence) -> list[str]:
    return [
        *_entries(evidence),
        *_results(evidence),
        *_ways_to_end(evidence),
        *_eaters(evidence),
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
        reasons = _REASONS_OF_EATERS if job_id in evidence.eaters else _REASONS
        if end.state in reasons and end.reason not in reasons[end.state]:
            yield f"job {job_id} ended {end.state} with {end.reason}"
        if end.state == "cancelled" and job_id not in asked:
            yield f"job {job_id} was cancelled by nobody"


def _eaters(evidence: Evidence) -> Iterator[str]:
    """Whoever takes too much each time fails in the end, and is told how much it was."""
    for job_id in evidence.eaters & evidence.ends.keys():
        end = evidence.ends[job_id]
        if end.state != "failed":
            yield f"job {job_id} took too much memory and ended {end.state}"
        elif end.reason == "out_of_memory" and not end.peak_bytes:
            yield f"job {job_id} ended out_of_memory, and nothing tells how much it took"


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
