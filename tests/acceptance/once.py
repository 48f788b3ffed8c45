"""What is promised of every accepted job: it succeeds, with one committed result, and its attempts tell why."""

from collections.abc import Sequence

from turnout.job import Job
from turnout.records import Attempt


def assert_succeeded_once(job: Job, seconds: float = 120) -> Sequence[Attempt]:
    """Returns the job's attempts, for what else they should tell."""
    record = job.wait(seconds)
    assert (record.state, record.reason) == ("succeeded", "completed"), (record.id, record.error)
    assert record.result is not None
    attempts = job.attempts()
    assert [attempt.attempt for attempt in attempts] == list(range(1, record.attempt + 1))
    *earlier, last = attempts
    assert last.outcome == "succeeded"
    assert all(attempt.outcome in ("lost", "handed_back") and attempt.cause for attempt in earlier), attempts
    assert all(attempt.ended_at is not None for attempt in attempts), attempts
    events = job.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events].count("final") == 1
    assert events[-1].type == "final"
    return attempts
