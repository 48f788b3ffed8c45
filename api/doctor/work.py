"""Who is there to run jobs, and what waits for whom."""

import socket
from collections.abc import Mapping, Sequence
from datetime import datetime

from api.doctor.clocks import worker_clocks
from api.doctor.findings import Finding, fail, in_words, listed, ok, warn
from db.clock import read_now
from db.engine import Database
from db.lost_workers import LostWorker, lost_workers
from db.memory_shortage import short_of_memory
from db.rows import WorkerRow
from db.workers import QueueDepth, live_workers, queue_depths
from tasks.kind import Kind
from tasks.queues import Queue

_LONG_WAIT_SECONDS = 3600.0


def work_findings(database: Database, kinds: Mapping[str, Kind]) -> list[Finding]:
    """Raises ``SQLAlchemyError``."""
    with database.read() as session:
        now = read_now(session)
        live = live_workers(session)
        depths = queue_depths(session, [queue.value for queue in Queue])
        lost = lost_workers(session)
        short = short_of_memory(session)
    return [
        _workers(live),
        *_unattended(depths),
        _kinds(live, kinds),
        *_misfits(live, kinds),
        _backlog(depths, now),
        _lost(lost, now),
        _memory(short),
        *worker_clocks(live),
        *_hosts(live, is_sqlite=database.is_sqlite),
    ]


def _workers(live: Sequence[WorkerRow]) -> Finding:
    if not live:
        return fail("workers", "No worker is there.", "Start one: `python -P -m workers --queue cpu`, or `turnout up`.")
    queues = sorted({worker.queue for worker in live})
    each = [
        f"{sum(worker.queue == queue for worker in live)} for {queue} "
        f"(jobs at once: {sum(worker.slots for worker in live if worker.queue == queue)})"
        for queue in queues
    ]
    return ok("workers", f"Live workers: {', '.join(each)}.")


def _unattended(depths: Sequence[QueueDepth]) -> list[Finding]:
    return [
        fail(
            "unattended_queue",
            f"The queue {depth.queue} has no worker; queued jobs: {depth.queued}.",
            f"Start one: `python -P -m workers --queue {depth.queue}`.",
        )
        for depth in depths
        if depth.queued and not depth.live_workers
    ]


def _kinds(live: Sequence[WorkerRow], kinds: Mapping[str, Kind]) -> Finding:
    alone = [
        f"{kind.name} ({' or '.join(kind.queues)})"
        for kind in kinds.values()
        if not any(worker.queue in kind.queues and kind.name in worker.kinds for worker in live)
    ]
    if not alone:
        return ok("kinds", f"Each of the {len(kinds)} kinds has a worker.")
    advice = "Start workers for these queues; until then such jobs wait."
    return warn("kinds", f"No live worker runs: {listed(sorted(alone))}.", advice)


def _misfits(live: Sequence[WorkerRow], kinds: Mapping[str, Kind]) -> list[Finding]:
    """A kind's file that one process loads and another does not."""
    found = []
    for worker in live:
        here = {kind.name for kind in kinds.values() if worker.queue in kind.queues}
        lacking, more = sorted(here - set(worker.kinds)), sorted(set(worker.kinds) - set(kinds))
        advice = "Start API and workers with the same version and the same TURNOUT_KINDS."
        if lacking:
            found.append(warn("worker_kinds", f"The worker {worker.name} does not know: {listed(lacking)}.", advice))
        if more:
            found.append(
                warn("worker_kinds", f"The API does not know what {worker.name} does: {listed(more)}.", advice)
            )
    return found


def _backlog(depths: Sequence[QueueDepth], now: datetime) -> Finding:
    ages = {d.queue: (now - d.oldest_queued_at).total_seconds() for d in depths if d.oldest_queued_at is not None}
    if not ages:
        return ok("backlog", "No job waits for a worker.")
    queue, oldest = max(ages.items(), key=lambda item: item[1])
    message = f"Queued jobs: {sum(d.queued for d in depths)}; the oldest for {in_words(oldest)} ({queue})."
    if oldest > _LONG_WAIT_SECONDS:
        return warn("backlog", message, f"Start more workers or slots for {queue}, if that is longer than you expect.")
    return ok("backlog", message)


def _lost(lost: Sequence[LostWorker], now: datetime) -> Finding:
    if not lost:
        return ok("lost_workers", "No worker vanished during the last day without one in its place.")
    each = [f"{w.name} ({in_words((now - w.last_seen_at).total_seconds())} ago)" for w in lost]
    advice = "Read its log, and start it again; its jobs went on elsewhere, or wait."
    return warn("lost_workers", f"Last seen, and without a goodbye: {listed(each)}.", advice)


def _memory(short: Mapping[str, int]) -> Finding:
    if not short:
        return ok("out_of_memory", "No job ran out of memory during the last day.")
    each = [f"{kind} ({attempts} attempts)" for kind, attempts in sorted(short.items())]
    advice = "Raise TURNOUT_RUNNER_MEMORY, or give their workers fewer slots or more memory."
    return warn("out_of_memory", f"Kinds whose jobs ran out of memory during the last day: {listed(each)}.", advice)


def _hosts(live: Sequence[WorkerRow], *, is_sqlite: bool) -> list[Finding]:
    hosts = {socket.gethostname(), *(worker.hostname for worker in live)}
    if not is_sqlite or len(hosts) < 2:
        return []
    advice = "Use PostgreSQL (TURNOUT_DATABASE_URL): SQLite's file is damaged when several machines write it."
    return [fail("sqlite_hosts", f"API and workers of {len(hosts)} machines share one SQLite file.", advice)]
