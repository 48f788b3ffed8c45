"""Trainings side by side, and what is said where they can't be compared."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.unit.api.serving import HandWorker, Serving

KEPT = {"GBM_2": "model.zip", "GLM_1": "model_GLM_1.zip"}


@pytest.fixture
def table(client: TestClient) -> str:
    return upload(client, b"a,y\n1,2\n")


def upload(client: TestClient, content: bytes) -> str:
    return str(client.post("/v1/files", files={"file": ("t.csv", content, "text/csv")}).json()["id"])


class Trainer:
    """Submits trainings and does by hand what a worker would do with them."""

    def __init__(self, client: TestClient, serving: Serving) -> None:
        self._client = client
        self._worker = HandWorker(serving.services.database, serving.services.store, "h2o", ("train_automl",))

    def train(
        self, table: str, *, auc: float = 0.9, rows: int = 20, result: dict[str, Any] | None = None, **spec: object
    ) -> str:
        body = {"kind": "train_automl", "spec": {"dataset": {"file": table}, "target": "y", "max_models": 2, **spec}}
        answer = self._client.post("/v1/jobs", json=body)
        assert answer.status_code == 202, answer.json()
        job_id = str(answer.json()["id"])
        token = self._worker.start(job_id)
        self._worker.board(token, ("GBM_2", auc - 0.01), ("GLM_1", 0.5), complete=True)
        self._worker.save(token, "model.zip", b"m")
        self._worker.save(token, "model_GLM_1.zip", b"n")
        self._worker.save(token, "report.html", b"r")
        known = {
            "problem": "classification",
            "rows": {"train": 80, "test": rows},
            "leader": "GBM_2",
            "leader_algo": "GBM",
            "sort_metric": "auc",
            "models": 2,
            "test_metrics": {"auc": auc, "logloss": 1 - auc},
            "runs": 1,
            "artifacts": {"model": ["model.zip"], "report": ["report.html"]},
            "kept_models": KEPT,
        }
        self._worker.succeed(token, **(known | (result or {})))
        return job_id


@pytest.fixture
def trainer(client: TestClient, serving: Serving) -> Trainer:
    return Trainer(client, serving)


def compared(client: TestClient, *items: str) -> Any:
    return client.get("/v1/comparison", params={"item": list(items)}).json()


def test_the_same_rows_tell_which_is_better(client: TestClient, trainer: Trainer, table: str) -> None:
    # Uploaded twice, the same data is the same data.
    again = upload(client, b"a,y\n1,2\n")
    one, two = trainer.train(table, auc=0.8), trainer.train(again, auc=0.9, max_models=9, nfolds=3)
    found = compared(client, f"job:{one}", f"job:{two}")
    assert (found["comparable"], found["caveats"]) == (True, [])
    metrics = {metric["name"]: (metric["values"], metric["best"]) for metric in found["metrics"]}
    assert metrics == {"auc": ([0.8, 0.9], [1]), "logloss": ([pytest.approx(0.2), pytest.approx(0.1)], [1])}
    options = {option["name"]: option["values"] for option in found["options"]}
    assert (options["max_models"], options["nfolds"]) == ([2, 9], [-1, 3])
    assert set(options) == {"dataset", "max_models", "nfolds"}
    assert found["items"][0]["leaderboard_metrics"]["auc"] == pytest.approx(0.79)


@pytest.mark.parametrize(
    ("other", "caveat"),
    [
        ({"split": {"seed": 5}}, "chosen differently: 80:20 with seed 1, 80:20 with seed 5"),
        ({"split": {"ratios": [0.7, 0.3]}}, "80:20 with seed 1, 70:30 with seed 1"),
        ({"target": "a"}, "predict different columns: y, a"),
        ({"weights_column": "a"}, "different weights, by the columns None, a"),
        ({"rows": 19}, "different numbers of rows: 20, 19"),
    ],
)
def test_other_test_rows_are_told(
    client: TestClient, trainer: Trainer, table: str, other: dict[str, Any], caveat: str
) -> None:
    one, two = trainer.train(table), trainer.train(table, auc=0.95, **other)
    found = compared(client, f"job:{one}", f"job:{two}")
    assert not found["comparable"]
    assert caveat in " ".join(found["caveats"])
    assert all(metric["best"] == [] for metric in found["metrics"])


def test_other_data_is_told_even_if_it_is_gone(client: TestClient, trainer: Trainer, table: str) -> None:
    other = upload(client, b"a,y\n1,3\n")
    one, two = trainer.train(table), trainer.train(other)
    tested = trainer.train(table, test_dataset={"file": other})
    assert "different data" in compared(client, f"job:{one}", f"job:{two}")["caveats"][0]
    assert "test_dataset of its own" in compared(client, f"job:{one}", f"job:{tested}")["caveats"][0]
    client.delete(f"/v1/files/{other}")
    assert "is gone, so it can't be told" in compared(client, f"job:{one}", f"job:{two}")["caveats"][0]
    same = trainer.train(table)
    client.delete(f"/v1/files/{table}")
    assert compared(client, f"job:{one}", f"job:{same}")["comparable"]


def test_named_models(client: TestClient, trainer: Trainer, table: str) -> None:
    one, two = trainer.train(table), trainer.train(table, seed=3)
    for job, artifact in ((one, "model.zip"), (two, "GLM_1")):
        client.post("/v1/models", json={"name": "m", "source": {"job": job, "artifact": artifact}})
    found = compared(client, "model:m/1", "model:m")
    assert [(item["model"], item["model_id"], item["is_leader"]) for item in found["items"]] == [
        ("m/1", "GBM_2", True),
        ("m/2", "GLM_1", False),
    ]
    assert found["metrics"][0]["values"] == [0.9, None]
    assert found["metrics"][0]["best"] == []
    assert "model:m (GLM_1) was not measured on the test rows" in found["caveats"][0]
    assert found["items"][1]["leaderboard_metrics"]["auc"] == 0.5


def test_what_can_not_be_compared(client: TestClient, serving: Serving, trainer: Trainer, table: str) -> None:
    one = trainer.train(table)
    other = client.post("/v1/jobs", json={"kind": "count_words", "spec": {"text": "x"}}).json()["id"]

    def refused(item: str, key: str = serving.keys.ann) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {key}"}
        answer = client.get("/v1/comparison", params={"item": [f"job:{one}", item]}, headers=headers)
        return answer.status_code, answer.json()["detail"]

    assert refused(f"job:{other}") == (409, f"Job {other} is queued; only trainings that succeeded can be compared.")
    token = serving.worker.start(other)
    serving.worker.succeed(token)
    assert "only trainings on tables" in refused(f"job:{other}")[1]
    assert refused("job:none")[0] == refused("model:none")[0] == refused("job:none", serving.keys.bob)[0] == 404
    assert "neither job:ID nor model:NAME/VERSION" in refused("rubbish")[1]
    client.post("/v1/models", json={"name": "file", "source": {"file": table}})
    assert "made by no training" in refused("model:file")[1]
    client.post("/v1/models", json={"name": "page", "source": {"job": one, "artifact": "report.html"}})
    assert f"page/1 is report.html of job {one}, which is none of the models" in refused("model:page")[1]
    assert client.get("/v1/comparison", params={"item": [f"job:{one}"]}).status_code == 422


def test_without_a_target_nothing_is_called_better(client: TestClient, trainer: Trainer, table: str) -> None:
    said = {"problem": "unsupervised", "test_metrics": {"tot_withinss": 5.0, "betweenss": 1.0}}
    one, two = trainer.train(table, result=said), trainer.train(table, result=said, max_models=3)
    found = compared(client, f"job:{one}", f"job:{two}")
    assert found["comparable"]
    assert [(metric["name"], metric["best"]) for metric in found["metrics"]] == [
        ("tot_withinss", []),
        ("betweenss", []),
    ]
