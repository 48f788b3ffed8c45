"""From the evidence to the figures: what was lost, what was done twice, and whose fault each extra run was."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from bench.chaos.contradictions import contradictions
from bench.chaos.evidence import Attempt, Evidence, Harm
from bench.chaos.fates import USUAL
from bench.chaos.ledger import Run

# A worker that wakes up from a stop may hand on what it took before; a disk that is free again takes a moment.
_AFTERMATH_SECONDS = 2.0
# Between the clocks of the database and of this machine's processes.
_CLOCKS_SECONDS = 1.0
_Row = TypeVar("_Row", Run, Attempt)


@dataclass(frozen=True)
class Reckoning:
    """``unexplained`` are extra runs that no fault accounts for; ``contradictions`` are places where ledger, witness,
    rows and watchers tell different stories."""

    accepted: int
    jobs_run: int
    runs: int
    committed: Counter[str]
    lost: Sequence[str]
    waiting: Sequence[str]
    twice: Sequence[str]
    extra: Counter[str]
    unexplained: Sequence[Run]
    contradictions: Sequence[str]
    faults: Counter[str]
    kills: int
    to_claimed: Mapping[str, Sequence[float]] = field(default_factory=dict)
    to_running: Mapping[str, Sequence[float]] = field(default_factory=dict)
    to_flowing: Mapping[str, Sequence[float]] = field(default_factory=dict)
    to_cancelled: Sequence[float] = ()
    trouble: Sequence[str] = ()
    in_company: int = 0

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.waiting or self.twice or self.unexplained or self.contradictions or self.trouble)


def reckon(evidence: Evidence) -> Reckoning:
    ended = {write.job_id for write in evidence.writes if write.ends}
    missing = [job_id for job_id in evidence.accepted if job_id not in ended]
    runs, attempts = by_job(evidence.runs), by_job(evidence.attempts)
    harms = [*evidence.harms, *ruins(evidence)]
    blamed = [
        (run, culprit(harms, run, runs[run.job_id], attempts.get(run.job_id, ()))) for run in extra_runs(evidence)
    ]
    to_claimed, to_running = recoveries(evidence)
    return Reckoning(
        accepted=len(evidence.accepted),
        jobs_run=len({run.job_id for run in evidence.runs}),
        runs=len(evidence.runs),
        committed=Counter(write.new_state for write in evidence.writes if write.ends),
        lost=[job_id for job_id in missing if job_id not in evidence.waiting],
        waiting=[job_id for job_id in missing if job_id in evidence.waiting],
        twice=committed_twice(evidence),
        extra=Counter(fault for _run, fault in blamed if fault is not None),
        unexplained=[run for run, fault in blamed if fault is None],
        contradictions=contradictions(evidence),
        faults=Counter(harm.fault for harm in evidence.harms),
        kills=sum(harm.kills for harm in evidence.harms),
        to_claimed=to_claimed,
        to_running=to_running,
        to_flowing=flow_returns(evidence),
        to_cancelled=cancel_latencies(evidence),
        trouble=evidence.trouble,
        in_company=sum(end.in_company for end in evidence.ends.values()),
    )


def committed_twice(evidence: Evidence) -> Sequence[str]:
    """Jobs that ended more than once, whose result was written more than once, or that were written to afterwards; and
    jobs of whose end somebody was told more than once."""
    ends = Counter(write.job_id for write in evidence.writes if write.ends)
    results = Counter(write.job_id for write in evidence.writes if write.new_result)
    found = {job_id for count in (ends, results) for job_id, times in count.items() if times > 1}
    found |= {write.job_id for write in evidence.writes if write.is_late}
    found |= {job_id for job_id, times in (evidence.stored_finals or {}).items() if times > 1}
    for heard in (evidence.told, evidence.webhooks):
        found |= {job_id for job_id, finals in heard.items() if len(set(finals)) > 1}
    return sorted(found)


def extra_runs(evidence: Evidence) -> Iterator[Run]:
    """All runs but the one that counts: the one whose result was committed, else the last."""
    for job_id, runs in by_job(evidence.runs).items():
        end = evidence.ends.get(job_id)
        counts = [run for run in runs if end is not None and end.result_of == (run.attempt, run.pid)]
        kept = counts[-1] if counts else runs[-1]
        yield from (run for run in runs if run is not kept)


def ruins(evidence: Evidence) -> Iterator[Harm]:
    """What jobs did to the process they ran in, and so to themselves and to those that ran beside them: it was lost by
    their doing, or ended for their sake because they did not heed that they were cancelled."""
    attempts = {(attempt.job_id, attempt.attempt): attempt for attempt in evidence.attempts}
    for run in evidence.runs:
        fate = evidence.fates.get(run.job_id, USUAL)
        attempt = attempts.get((run.job_id, run.attempt))
        if fate.ruin is None or attempt is None or attempt.ended_at is None:
            continue
        lost = attempt.outcome == "lost" and attempt.reason in fate.may_fail_by
        if lost or (attempt.outcome == "cancelled" and not fate.must_fail):
            reason = attempt.reason if lost else None
            yield Harm(fate.ruin, run.began_at, attempt.ended_at, frozenset({run.pid}), reason)


def culprit(harms: Sequence[Harm], run: Run, runs: Sequence[Run], attempts: Sequence[Attempt]) -> str | None:
    """The fault that made this run of a job futile: one that hit its process or its worker while the attempt was under
    way, or one that explains what the attempt failed by. ``runs`` and ``attempts`` are all of the job's. A process may
    be hit long after a run in it was over, which explains nothing."""
    attempt = next((a for a in attempts if a.attempt == run.attempt), None)
    since = min(run.began_at, attempt.claimed_at) if attempt else run.began_at
    since -= _AFTERMATH_SECONDS
    until = min((other.began_at for other in runs if other.began_at > run.began_at), default=float("inf"))
    if attempt is not None and attempt.ended_at is not None:
        until = min(until, attempt.ended_at + _CLOCKS_SECONDS)
    for harm in harms:
        says_so = harm.reason is None or (attempt is not None and attempt.reason == harm.reason)
        if says_so and harm.pids & {run.pid, run.parent_pid} and harm.touches(since, until):
            return harm.fault
    if attempt is None or attempt.reason is None or attempt.outcome not in ("failed", "lost"):
        return None
    for harm in harms:
        if not harm.pids and harm.reason == attempt.reason and harm.touches(since, until):
            return harm.fault
    return None


def recoveries(evidence: Evidence) -> tuple[Mapping[str, list[float]], Mapping[str, list[float]]]:
    """For each fault, the seconds from the moment at which it took an attempt's process to the next claim of that job,
    and to its next run."""
    to_claimed: dict[str, list[float]] = defaultdict(list)
    to_running: dict[str, list[float]] = defaultdict(list)
    attempts, runs = by_job(evidence.attempts), by_job(evidence.runs)
    for job_id, tried in attempts.items():
        for one, following in pairwise(tried):
            harm = _taken_by(evidence.harms, one, runs.get(job_id, ()))
            if harm is None:
                continue
            to_claimed[harm.fault].append(following.claimed_at - harm.at)
            begun = [run.began_at for run in runs.get(job_id, ()) if run.attempt > one.attempt]
            if begun:
                to_running[harm.fault].append(min(begun) - harm.at)
    return to_claimed, to_running


def _taken_by(harms: Sequence[Harm], attempt: Attempt, runs: Sequence[Run]) -> Harm | None:
    if attempt.outcome != "lost" or attempt.ended_at is None:
        return None
    pids = {attempt.worker_pid, *(run.pid for run in runs if run.attempt == attempt.attempt)}
    for harm in harms:
        if harm.pids & pids and attempt.claimed_at - 1 <= harm.at <= attempt.ended_at + 1:
            return harm
    return None


def flow_returns(evidence: Evidence) -> Mapping[str, list[float]]:
    """For faults that hit no worker: the seconds from their end to the first run of a job that was accepted since they
    began."""
    found: dict[str, list[float]] = defaultdict(list)
    began = sorted((run.began_at, run.job_id) for run in evidence.runs)
    for harm in evidence.harms:
        if harm.pids:
            continue
        for at, job_id in began:
            if at >= harm.until and evidence.accepted.get(job_id, ("", 0.0))[1] > harm.at:
                found[harm.fault].append(at - harm.until)
                break
    return found


def cancel_latencies(evidence: Evidence) -> Sequence[float]:
    """From the request to the committed end, of the jobs that ended by it."""
    ended = {
        write.job_id: write.at - evidence.wall_minus_monotonic
        for write in evidence.writes
        if write.ends and write.new_state in ("cancelled", "REVOKED")
    }
    return [ended[one.job_id] - one.asked_at for one in evidence.cancelled if one.job_id in ended]


def by_job(rows: Iterable[_Row]) -> dict[str, list[_Row]]:
    """Each job's, in the order of the attempts."""
    grouped: dict[str, list[_Row]] = defaultdict(list)
    for row in sorted(rows, key=_order):
        grouped[row.job_id].append(row)
    return grouped


def _order(row: Run | Attempt) -> tuple[int, float]:
    return row.attempt, row.began_at if isinstance(row, Run) else row.claimed_at
