"""Flower as its users see it, through its REST API, and whether it agrees with the jobs' own records."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import httpx

from tests.waiting import until


class JobLike(Protocol):
    """What a row and the SDK's record have in common."""

    @property
    def id(self) -> Any: ...
    @property
    def kind(self) -> Any: ...
    @property
    def state(self) -> Any: ...
    @property
    def attempt(self) -> Any: ...
    @property
    def error(self) -> Any: ...


class FlowerView:
    """Flower at a URL, with its basic auth."""

    def __init__(self, url: str, password: str, user: str = "turnout") -> None:
        self._client = httpx.Client(base_url=url, auth=(user, password), trust_env=False, timeout=10)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """The tasks that it lists, by their id. Empty when it doesn't answer."""
        return self._get("/api/tasks")

    def task(self, job_id: str) -> dict[str, Any]:
        return self._get(f"/api/task/info/{job_id}")

    def workers(self) -> dict[str, bool]:
        """The workers that it lists: whether each is online."""
        return {worker["hostname"]: worker["status"] for worker in self._get("/workers?json=1").get("data", [])}

    def is_up(self) -> bool:
        return bool(self._get("/api/task/types"))

    def controllable(self) -> str | None:
        """The name of a worker whose buttons work: Flower has to ask the workers who they are first."""
        return next(iter(self._get("/api/workers?refresh=true")), None)

    def press(self, path: str, **parameters: Any) -> httpx.Response:
        """What a button of its pages asks for."""
        return self._client.post(path, params=parameters)

    def _get(self, path: str) -> dict[str, Any]:
        try:
            answer = self._client.get(path)
        except httpx.TransportError:
            return {}
        if answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


def disagreement(job: JobLike, task: Mapping[str, Any] | None) -> str | None:
    """How what Flower shows contradicts the job's record. A job that never ran may not have been hinted yet."""
    if task is None:
        return None if job.attempt == 0 and job.state in ("waiting", "queued") else f"{job.id}: not listed"
    expected = {
        "waiting": ("RETRY", "RECEIVED") if job.attempt else ("PENDING", "RECEIVED"),
        "queued": ("RETRY", "RECEIVED") if job.attempt else ("PENDING", "RECEIVED"),
        "running": ("STARTED",),
        "succeeded": ("SUCCESS",),
        "failed": ("FAILURE",),
        "cancelled": ("REVOKED",),
    }[job.state]
    if task["state"] not in expected:
        return f"{job.id}: {job.state} in SQL, {task['state']} in Flower"
    if task["name"] != job.kind:
        return f"{job.id}: {job.kind} in SQL, {task['name']} in Flower"
    if job.state == "failed" and task["exception"] != job.error["message"]:
        return f"{job.id}: {job.error['message']!r} in SQL, {task['exception']!r} in Flower"
    return None


def disagreements(flower: FlowerView, read_jobs: Callable[[], Iterable[JobLike]]) -> dict[str, str]:
    """How Flower contradicts the jobs' records, by the jobs' ids. Jobs may go on meanwhile: what Flower shows must be
    true before its answer or after it."""
    before = list(read_jobs())
    tasks = flower.tasks()
    wrong = {job.id for job in before if disagreement(job, tasks.get(job.id))}
    after = [job for job in read_jobs() if job.id in wrong] if wrong else ()
    return {job.id: found for job in after if (found := disagreement(job, tasks.get(job.id)))}


def wait_until_agreed(
    flower: FlowerView, read_jobs: Callable[[], Iterable[JobLike]], seconds: float = 30
) -> dict[str, dict[str, Any]]:
    """Wait until Flower agrees with SQL about every job that there is now; returns what it lists then."""
    asked = {job.id for job in read_jobs()}
    left: dict[str, str] = {}

    def agreed() -> bool:
        left.clear()
        left.update(disagreements(flower, lambda: (job for job in read_jobs() if job.id in asked)))
        return not left

    try:
        until(agreed, seconds)
    except AssertionError as exc:
        raise AssertionError(f"Flower and SQL still disagree after {seconds:g} s: {list(left.values())}") from exc
    return flower.tasks()


def longest_disagreement(
    flower: FlowerView, read_jobs: Callable[[], Iterable[JobLike]], done: Callable[[], bool], *, at_most: float = 30
) -> float:
    """Watch until it is done and Flower agrees about every job; returns for how many seconds at most one and the same
    job was shown wrong. Gives up on a job that is shown wrong for ``at_most``."""
    since: dict[str, float] = {}
    longest = 0.0

    def done_and_agreed() -> bool:
        nonlocal longest
        began = time.monotonic()
        wrong = disagreements(flower, read_jobs)
        now = time.monotonic()
        for job_id in [*since]:
            longest = max(longest, now - since[job_id])
            if job_id not in wrong:
                del since[job_id]
        for job_id, what in wrong.items():
            assert now - since.setdefault(job_id, began) < at_most, f"for {at_most:g} s: {what}"
        return not wrong and done()

    until(done_and_agreed, 180, what="the end and an agreement")
    return longest
