"""A running AutoML that is cancelled, however, frees the cluster; one that is stopped keeps its best so far."""

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.acceptance.automl import EXAMPLE, left_in_h2o, story, submit_automl, trainings, wait_for_models
from tests.acceptance.program import TURNOUT, Program
from tests.flower_view import FlowerView, wait_until_agreed
from tests.waiting import until
from turnout import Client
from turnout.job import Job
from turnout.records import File


def flower_of(program: Program) -> FlowerView:
    password = json.loads((program.home / "secrets.json").read_text())["flower_password"]
    return FlowerView(f"http://127.0.0.1:{program.flower_port}", password)


def by_api(_program: Program, job: Job) -> None:
    assert job.cancel().state == "running"


def by_command_line(program: Program, job: Job) -> None:
    key = (program.home / "api-key").read_text().strip()
    environment = {**program.environment, "TURNOUT_URL": program.url, "TURNOUT_API_KEY": key}
    subprocess.run([TURNOUT, "cancel", job.id], env=environment, check=True)


def by_flower_revoke(program: Program, job: Job) -> None:
    assert flower_of(program).press(f"/api/task/revoke/{job.id}").is_success


def by_flower_terminate(program: Program, job: Job) -> None:
    assert flower_of(program).press(f"/api/task/revoke/{job.id}", terminate="true").is_success


@pytest.mark.parametrize("cancel", [by_api, by_command_line, by_flower_revoke, by_flower_terminate])
def test_a_cancelled_one_frees_the_cluster(
    program: Program, client: Client, circle: File, cancel: Callable[[Program, Job], None]
) -> None:
    job = submit_automl(client, circle)
    wait_for_models(job)
    assert "RUNNING" in trainings(program, job)
    cancel(program, job)
    record = job.wait(60)
    assert (record.state, record.reason, record.result) == ("cancelled", "cancelled_by_user", None)
    assert story(job) == [("cancelled", "cancelled_by_user")]
    until(lambda: not left_in_h2o(program), what="an empty cluster")
    assert "RUNNING" not in trainings(program, job)
    wait_until_agreed(flower_of(program), lambda: [job.refresh()])


def test_a_stopped_one_keeps_its_best_so_far(client: Client, circle: File) -> None:
    job = submit_automl(client, circle, explain=False)
    wait_for_models(job, 2)
    job.stop()
    record = job.wait(60)
    assert (record.state, record.reason) == ("succeeded", "stopped_by_user")
    assert 2 <= len(job.leaderboard().rows) < 12
    assert "model.zip" in {artifact.name for artifact in job.artifacts()}


def test_a_stopped_one_that_is_then_cancelled_keeps_nothing(program: Program, client: Client, circle: File) -> None:
    job = submit_automl(client, circle)
    wait_for_models(job)
    job.stop()
    assert job.cancel().state in ("running", "cancelled")
    record = job.wait(60)
    assert (record.state, record.reason, record.result) == ("cancelled", "cancelled_by_user", None)
    until(lambda: not left_in_h2o(program), what="an empty cluster")


@pytest.mark.parametrize(
    ("limit", "reason"), [("time_limit_seconds", "timed_out"), ("deadline_seconds", "deadline_exceeded")]
)
def test_one_that_takes_too_long_frees_the_cluster(
    program: Program, client: Client, circle: File, limit: str, reason: str
) -> None:
    spec = {**EXAMPLE, "dataset": circle, "max_models": 1000}
    job = client.submit("train_automl", spec, **{limit: 30})  # type: ignore[arg-type]
    wait_for_models(job)
    record = job.wait(90)
    assert (record.state, record.reason, record.result) == ("failed", reason, None)
    until(lambda: not left_in_h2o(program), what="an empty cluster")
    assert "RUNNING" not in trainings(program, job)
