"""Turns the attempts that ended since the last look into counters.

SQL alone could only tell how many of them it still keeps, which retention lowers; counters never fall.
"""

import threading
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram
from sqlalchemy.orm import Session

from db.clock import read_now
from db.figures import EndedAttempt, attempts_ended_after
from db.states import Outcome

# The end is written down before its transaction commits; nothing stays open longer.
_LONGEST_TRANSACTION = timedelta(seconds=30)
# Who was not asked for longer does not read all of it at once.
_LONGEST_LOOK_BACK = timedelta(minutes=10)


_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_ATTEMPT = ["queue", "kind"]
_SUMS = {
    "inputs": ("turnout_batch_inputs", "Inputs that ended attempts had computed in batches"),
    "tokens": ("turnout_batch_tokens", "Tokens, or other units of length, that ended attempts had computed"),
    "padded_tokens": ("turnout_batch_padded_tokens", "The same with the padding"),
    "device_seconds": ("turnout_device_seconds", "Seconds that devices computed for ended attempts"),
    "load_seconds": (
        "turnout_load_seconds",
        "Seconds that ended attempts waited for libraries and models",
    ),
    "model_loads": ("turnout_model_loads", "Models that ended attempts had to load"),
    "model_hits": ("turnout_model_hits", "Models that ended attempts found loaded"),
}
_COUNTED_HERE = "counted by this API process since it was first asked for metrics"


class AttemptFigures:
    """How attempts ended and what they measured."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ended = Counter(
            "turnout_attempts", f"Attempts that ended, {_COUNTED_HERE}.", [*_ATTEMPT, "outcome"], registry=registry
        )
        self.queue_seconds = Histogram(
            "turnout_attempt_queue_seconds",
            f"How long ended attempts had been queued, {_COUNTED_HERE}.",
            _ATTEMPT,
            buckets=_SECONDS,
            registry=registry,
        )
        self.run_seconds = Histogram(
            "turnout_attempt_run_seconds",
            f"How long successful attempts computed, {_COUNTED_HERE}.",
            _ATTEMPT,
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_size = Histogram(
            "turnout_attempt_batch_size",
            f"How many inputs, other jobs' included, an attempt's batches had on average, {_COUNTED_HERE}.",
            _ATTEMPT,
            buckets=_BATCH_SIZES,
            registry=registry,
        )
        self.batches = Counter(
            "turnout_batches",
            f"Batches of ended attempts, each attempt for its share of its batches, {_COUNTED_HERE}.",
            _ATTEMPT,
            registry=registry,
        )
        self.sums = {
            measured: Counter(name, f"{help_text}, {_COUNTED_HERE}.", _ATTEMPT, registry=registry)
            for measured, (name, help_text) in _SUMS.items()
        }


class AttemptCount:
    """Counts each attempt once, however often and by how many it is asked to look."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._figures = AttemptFigures(registry)
        self._lock = threading.Lock()
        self._looked_at: datetime | None = None
        self._counted: dict[tuple[str, int], datetime] = {}

    def look(self, session: Session) -> None:
        """Count what ended since the last look; the first only notes what is there already."""
        with self._lock:
            now = read_now(session)
            last = self._looked_at
            since = max(last or now, now - _LONGEST_LOOK_BACK) - _LONGEST_TRANSACTION
            for ended in attempts_ended_after(session, since):
                key = (ended.job_id, ended.attempt)
                if key not in self._counted and last is not None:
                    self._count(ended)
                self._counted[key] = ended.ended_at
            self._looked_at = now
            forgotten = now - _LONGEST_TRANSACTION - timedelta(seconds=1)
            self._counted = {key: ended_at for key, ended_at in self._counted.items() if ended_at > forgotten}

    def _count(self, ended: EndedAttempt) -> None:
        labels = (ended.queue, ended.kind)
        self._figures.ended.labels(*labels, ended.outcome).inc()
        _observe(self._figures.queue_seconds, labels, ended.metrics.get("queue_seconds"))
        if ended.outcome == Outcome.SUCCEEDED:
            _observe(self._figures.run_seconds, labels, ended.metrics.get("run_seconds"))
        size = ended.metrics.get("batch_size")
        if isinstance(size, int | float) and size >= 1:
            _observe(self._figures.batch_size, labels, size)
            self._figures.batches.labels(*labels).inc(ended.metrics.get("batches", 1 / size))
        for measured, counter in self._figures.sums.items():
            value = ended.metrics.get(measured)
            if isinstance(value, int | float) and value > 0:
                counter.labels(*labels).inc(value)


def _observe(histogram: Histogram, labels: tuple[str, str], value: object) -> None:
    """A measurement that an attempt did not make is no measurement of zero."""
    if isinstance(value, int | float):
        histogram.labels(*labels).observe(value)
