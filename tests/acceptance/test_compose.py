"""What ``deploy/compose.yaml`` starts works together, each process apart and none the parent of another."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.make_env import make_env
from tasks.queues import Queue
from tests.acceptance.containers import Containers
from tests.compose import DEPLOY, env_file
from tests.waiting import until
from turnout import Client

_AUTOML = {
    "target": "y",
    "problem": "classification",
    "max_models": 2,
    "include_algos": ["GLM", "GBM"],
    "nfolds": 2,
    "seed": 2,
}


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    (tmp_path / ".env.example").write_text((DEPLOY / ".env.example").read_text())
    return {**env_file(make_env(tmp_path)), "TURNOUT_H2O_MEMORY": "1g"}


@pytest.fixture
def containers(tmp_path: Path, variables: dict[str, str]) -> Iterator[Containers]:
    containers = Containers(tmp_path, variables)
    try:
        containers.up("gpu")
        yield containers
    finally:
        containers.end()


def test_jobs_of_every_queue(containers: Containers, variables: dict[str, str], circle_csv: Path) -> None:
    key = (containers.volume("setup") / "api-key").read_text().strip()
    url = f"http://127.0.0.1:{containers.ports['api']}"
    second = containers.start("worker-cpu")
    for container in containers.started:
        if container.healthcheck:
            until(container.is_healthy, 120, what=f"a healthy {container.service.name}")

    with Client(url, key) as client:
        names = until(lambda: len(found := _workers(client)) == 5 and found, what="five workers")
        assert names == ["cpu-0", "cpu-1", "gpu-0", "h2o-0", "remote-0"]

        checks = {queue: client.submit("check_worker", {"message": queue}, queue=queue) for queue in Queue}
        for queue, job in checks.items():
            record = job.wait(60)
            assert (record.state, record.queue) == ("succeeded", queue)

        job = client.submit("train_automl", {**_AUTOML, "dataset": circle_csv})
        assert job.wait(300).state == "succeeded", job.record
        assert job.leaderboard().complete
        # Its worker wrote it, the API reads it.
        model = job.download("model.zip", containers.volume("downloads"))
        assert model.stat().st_size > 1000

        _assert_metrics(url, key)
        _assert_flower(containers, variables, job.id)

        # One of two goes, and its jobs with it to the other.
        second.stop()
        assert client.submit("check_worker", {"message": "still there"}).wait(60).state == "succeeded"

    for container in reversed([c for c in containers.started if c not in (second, *containers.of("setup"))]):
        container.stop()
        assert "Traceback" not in container.log.read_text(), container.log.read_text()


def _workers(client: Client) -> list[str]:
    return sorted(worker.name for worker in client.workers())


def _assert_metrics(url: str, key: str) -> None:
    answer = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    jobs = {(s.labels["queue"], s.labels["state"]): s.value for s in samples if s.name == "turnout_jobs"}
    assert jobs[Queue.H2O, "succeeded"] == 2
    assert jobs[Queue.CPU, "succeeded"] == jobs[Queue.GPU, "succeeded"] == jobs[Queue.REMOTE, "succeeded"] == 1
    assert {s.labels["queue"]: s.value for s in samples if s.name == "turnout_queue_workers"}[Queue.CPU] == 2


def _assert_flower(containers: Containers, variables: dict[str, str], job_id: str) -> None:
    address = f"http://127.0.0.1:{containers.ports['flower']}/api/task/info/{job_id}"
    assert httpx.get(address, trust_env=False).status_code == 401
    login = ("turnout", variables["FLOWER_PASSWORD"])

    def shown() -> tuple[str, str]:
        task = httpx.get(address, auth=login, trust_env=False).json()
        return task["name"], task["state"]

    until(lambda: shown() == ("train_automl", "SUCCESS"), what="the job in Flower")
