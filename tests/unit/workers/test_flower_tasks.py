"""Whatever Celery's events say, and in whatever order, what Flower shows in the end is where the job stands."""

import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from flower.events import EventsState
from hypothesis import given
from hypothesis import strategies as st

from db.standings import Standing
from db.states import FINAL_STATES, State
from workers.flower_tasks import celery_states, forget, show

NOW = datetime.now(UTC)
WORKERS = ("cpu-0@here", "cpu-1@here")
EVENTS = ("received", "started", "succeeded", "failed", "retried", "revoked", "rejected")


def standing(state: State, attempt: int) -> Standing:
    ran = attempt > 0
    return Standing(
        job_id="job",
        kind="check_worker",
        state=state,
        attempt=attempt,
        worker=WORKERS[0] if ran else None,
        message="Because." if state is State.FAILED else None,
        queued_at=NOW - timedelta(seconds=9),
        started_at=NOW - timedelta(seconds=5) if ran else None,
        ended_at=NOW if ran and state in FINAL_STATES else None,
        finished_at=NOW if state in FINAL_STATES else None,
    )


def celery_event(name: str, worker: str, clock: int) -> dict[str, Any]:
    more = {"name": "check_worker", "args": "['job']", "retries": 0} if name == "received" else {}
    more |= {"exception": "JobFailed()", "traceback": "/srv/workers/x.py"} if name in ("failed", "retried") else {}
    now = time.time()
    return {
        "type": f"task-{name}",
        "uuid": "job",
        "hostname": worker,
        "timestamp": now,
        "local_received": now,
        "clock": clock,
        **more,
    }


STANDINGS = st.builds(standing, st.sampled_from(State), st.integers(0, 5)).filter(
    lambda job: job.attempt > 0 or job.state not in (State.RUNNING, State.SUCCEEDED)
)


@given(
    events=st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from(WORKERS), st.integers(1, 50)), max_size=8),
    earlier=STANDINGS,
    job=STANDINGS,
)
def test_the_job_is_shown_as_it_stands(events: list[tuple[str, str, int]], earlier: Standing, job: Standing) -> None:
    state, clock = EventsState(), count(100)
    show(state, earlier, lambda: next(clock))
    for event in events:
        state.event(celery_event(*event))
    show(state, job, lambda: next(clock))
    task = state.tasks["job"]
    assert task.state in celery_states(job)
    assert (task.name, task.exception, task.traceback) == ("check_worker", job.message, None)
    assert task.retries == max(job.attempt - 1, 0)
    if job.worker is not None:
        assert task.worker.hostname == job.worker
    # The pages read the index, not the tasks.
    (listed,) = state.search_engine.search(state.tasks, "", state=task.state).task_ids
    assert listed == "job"


@pytest.mark.parametrize("state", State)
def test_a_job_that_no_event_told_of(state: State) -> None:
    job = standing(state, attempt=0 if state in (State.WAITING, State.QUEUED) else 1)
    flower, clock = EventsState(), count(1)
    show(flower, job, lambda: next(clock))
    task = flower.tasks["job"].as_dict()
    assert task["state"] == celery_states(job)[0]
    assert (task["name"], task["args"], task["kwargs"]) == ("check_worker", "['job']", "{}")
    assert task["received"] == (NOW - timedelta(seconds=9)).timestamp()
    assert task["runtime"] == (5 if state in FINAL_STATES else None)
    assert [id_ for id_, _task in flower.tasks_by_time()] == ["job"]


def test_a_worker_is_not_brought_to_life_by_its_jobs() -> None:
    flower, clock = EventsState(), count(1)
    show(flower, standing(State.RUNNING, 1), lambda: next(clock))
    assert not flower.workers[WORKERS[0]].alive


def test_what_is_no_job_is_no_longer_listed() -> None:
    flower = EventsState()
    flower.event(celery_event("received", WORKERS[0], 1))
    forget(flower, "job")
    forget(flower, "never-heard-of")
    assert not flower.tasks
    assert not flower.search_engine.search(flower.tasks, "").task_ids
