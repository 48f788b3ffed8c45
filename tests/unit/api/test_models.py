"""Names for models: versions, owners, what they stand for, and jobs that read them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.unit.api.serving import HandWorker, Serving

HUB = {"hub": "org/name", "revision": "main"}
RESULT = {"leader": "GBM_2", "kept_models": {"GBM_2": "model.zip", "GLM_1": "model_GLM_1.zip"}}


def upload(client: TestClient, content: bytes = b"model") -> str:
    return str(client.post("/v1/files", files={"file": ("m.zip", content, "application/zip")}).json()["id"])


def name(client: TestClient, source: object, model: str = "churn", **more: object) -> Any:
    return client.post("/v1/models", json={"name": model, "source": source, **more})


def submit(client: TestClient, dataset: object, **headers: str) -> Any:
    body = {"kind": "count_words", "spec": {"text": "x", "dataset": dataset}}
    return client.post("/v1/jobs", json=body, headers=headers)


@pytest.fixture
def trained(client: TestClient, worker: HandWorker) -> str:
    """A job that kept two of its three models."""
    job_id: str = client.post("/v1/jobs", json={"kind": "count_words", "spec": {"text": "x"}}).json()["id"]
    token = worker.start(job_id)
    worker.save(token, "model.zip", b"leader", "application/zip")
    worker.save(token, "model_GLM_1.zip", b"other", "application/zip")
    worker.board(token, ("GBM_2", 0.9), ("GLM_1", 0.8), ("DRF_1", 0.7), complete=True)
    worker.succeed(token, **RESULT)
    return job_id


def test_a_name_gets_versions_and_gives_the_file_back(client: TestClient) -> None:
    first, second = upload(client, b"one"), upload(client, b"other")
    made = name(client, {"file": first}, description="as of May", tags={"team": "a"})
    assert (made.status_code, made.headers["location"]) == (201, "/v1/models/churn/versions/1")
    one = made.json()
    assert (one["source"], one["size_bytes"], one["tags"]) == ({"file": first}, 3, {"team": "a"})
    two = name(client, {"file": second}).json()
    assert two["version"] == 2
    assert client.get("/v1/models/churn").json() == two
    assert client.get("/v1/models/churn/versions").json() == {"versions": [two, one]}
    assert client.get("/v1/models/churn/versions/1").json() == one
    assert client.get("/v1/models").json() == {"models": [two], "next_cursor": None}
    content = client.get("/v1/models/churn/versions/1/content", headers={"Range": "bytes=1-"})
    assert (content.status_code, content.content, content.headers["etag"]) == (206, b"ne", f'"{one["sha256"]}"')
    assert client.get("/v1/models/churn/versions/3").status_code == 404


def test_pages_show_each_name_once(client: TestClient) -> None:
    for model in ("a", "b", "a", "c"):
        name(client, HUB, model)
    page = client.get("/v1/models?limit=2").json()
    assert [(one["name"], one["version"]) for one in page["models"]] == [("c", 1), ("a", 2)]
    rest = client.get(f"/v1/models?cursor={page['next_cursor']}").json()
    assert ([one["name"] for one in rest["models"]], rest["next_cursor"]) == (["b"], None)


@pytest.mark.parametrize("model", ["", " ", "a/b", "../x", "ü", ".hidden", "a b", "a" * 101, "a\n", 7, None])
def test_odd_names_are_refused(client: TestClient, model: object) -> None:
    answer = client.post("/v1/models", json={"name": model, "source": HUB})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["name"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"file": "none"}, "There is no file 'none'."),
        ({"job": "none", "artifact": "x"}, "There is no job 'none'."),
        ({"model": "other"}, "Give {"),
        ({}, "Give {"),
        ("churn", "Give {"),
        ({"hub": "org/name", "revision": "main", "more": 1}, "no such field"),
        ({"hub": "org/name", "revision": "../x"}, "is no revision; give a branch, a tag, or a commit"),
        ({"hub": "a/b/c", "revision": "main"}, "is no id of a model on the hub"),
        ({"hub": "a--b", "revision": "main"}, "is no id of a model on the hub"),
        ({"hub": "org/name", "revision": "a..b"}, "is no revision"),
    ],
)
def test_what_is_no_source_is_refused(client: TestClient, source: object, message: str) -> None:
    answer = name(client, source)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"].partition(".")[0] == "source"
    assert message in error["message"]
    assert client.get("/v1/models").json()["models"] == []


def test_what_is_no_body_is_refused(client: TestClient) -> None:
    assert client.post("/v1/models", content=b"{").status_code == 415
    for body in ([], "x", {"name": "x", "source": HUB, "more": 1}, {"name": "x", "source": HUB, "tags": {"": ""}}):
        assert client.post("/v1/models", json=body).status_code == 422


def test_a_job_of_which_a_model_is_named(client: TestClient, worker: HandWorker, trained: str) -> None:
    by_id = name(client, {"job": trained, "artifact": "GLM_1"}).json()
    assert by_id["source"] == {"job": trained, "artifact": "model_GLM_1.zip"}
    leader = name(client, {"job": trained, "artifact": "GBM_2"}).json()
    assert leader["source"] == {"job": trained, "artifact": "model.zip"}
    refused = name(client, {"job": trained, "artifact": "DRF_1"})
    assert "it kept the models GBM_2, GLM_1" in refused.json()["detail"]
    running = client.post("/v1/jobs", json={"kind": "count_words", "spec": {"text": "x"}}).json()["id"]
    token = worker.start(running)
    worker.save(token, "model.zip", b"so far")
    early = name(client, {"job": running, "artifact": "model.zip"})
    assert (early.status_code, "once it has ended" in early.json()["detail"]) == (422, True)


def test_names_are_their_owners(client: TestClient, serving: Serving) -> None:
    file_id = upload(client)
    name(client, {"file": file_id})
    bob = {"Authorization": f"Bearer {serving.keys.bob}"}
    for method, path in (
        ("GET", "/v1/models/churn"),
        ("GET", "/v1/models/churn/versions"),
        ("GET", "/v1/models/churn/versions/1/content"),
        ("DELETE", "/v1/models/churn"),
        ("DELETE", "/v1/models/churn/versions/1"),
    ):
        assert client.request(method, path, headers=bob).status_code == 404
    assert client.get("/v1/models", headers=bob).json()["models"] == []
    assert "no model 'churn'" in submit(client, {"model": "churn"}, **bob).json()["detail"]
    stolen = client.post("/v1/models", json={"name": "mine", "source": {"file": file_id}}, headers=bob)
    assert stolen.status_code == 422
    # The same name of another owner is another model, which an admin has to tell apart.
    admin = {"Authorization": f"Bearer {serving.keys.admin}"}
    assert client.get("/v1/models/churn", headers=admin).json()["source"] == {"file": file_id}
    assert client.post("/v1/models", json={"name": "churn", "source": HUB}, headers=bob).json()["version"] == 1
    assert client.get("/v1/models/churn", headers=admin).json()["code"] == "ambiguous_name"
    assert len(client.get("/v1/models", headers=admin).json()["models"]) == 2


def test_a_job_keeps_the_version_it_was_submitted_with(client: TestClient, worker: HandWorker) -> None:
    name(client, {"file": upload(client, b"one")})
    job = submit(client, {"model": "churn"}, **{"Idempotency-Key": "k"}).json()
    assert job["spec"]["dataset"] == {"model": "churn", "version": 1}
    name(client, {"file": upload(client, b"two")})
    assert submit(client, {"model": "churn"}, **{"Idempotency-Key": "k"}).json()["id"] == job["id"]
    assert submit(client, {"model": "churn"}).json()["spec"]["dataset"] == {"model": "churn", "version": 2}
    assert submit(client, {"model": "churn", "version": 1}).json()["spec"]["dataset"]["version"] == 1
    worker.fail(worker.start(job["id"]), "It broke.")
    again = client.post(f"/v1/jobs/{job['id']}/retry").json()
    assert again["spec"]["dataset"] == {"model": "churn", "version": 1}


def test_a_model_of_the_hub_takes_its_name_s_place(client: TestClient) -> None:
    """Where a model may be on the hub; what is named so later changes nothing."""
    name(client, HUB, "mini")
    embed = {"kind": "embed_text", "spec": {"model": "model:mini", "texts": ["x"]}}
    by_version = {"kind": "embed_text", "spec": {"model": {"model": "mini", "version": 1}, "texts": ["x"]}}
    first = client.post("/v1/jobs", json=embed, headers={"Idempotency-Key": "k"}).json()
    assert first["spec"]["model"] == HUB
    newer = {"hub": "org/name", "revision": "a" * 40}
    name(client, newer, "mini")
    jobs = client.post("/v1/jobs/bulk", json={"jobs": [embed, by_version]}).json()["jobs"]
    assert [client.get(f"/v1/jobs/{job['id']}").json()["spec"]["model"] for job in jobs] == [newer, HUB]
    assert client.post("/v1/jobs", json=embed, headers={"Idempotency-Key": "k"}).json()["id"] == first["id"]
    # The spec says all that the job needs.
    assert client.delete("/v1/models/mini").status_code == 204
    client.post(f"/v1/jobs/{first['id']}/cancel")
    assert client.post(f"/v1/jobs/{first['id']}/retry").json()["spec"]["model"] == HUB


def test_a_model_with_a_file_stays_a_named_one(client: TestClient) -> None:
    name(client, {"file": upload(client)}, "mini")
    embed = {"kind": "embed_text", "spec": {"model": {"model": "mini"}, "texts": ["x"]}}
    job = client.post("/v1/jobs", json=embed).json()
    assert job["spec"]["model"] == {"model": "mini", "version": 1}
    assert client.delete("/v1/models/mini").json()["code"] == "model_in_use"
    for said, message in (("model:none", "There is no model 'none'"), ("model:mini/2", "has no version 2")):
        refused = client.post("/v1/jobs", json={**embed, "spec": {"model": said, "texts": ["x"]}})
        assert (refused.status_code, message in refused.json()["detail"]) == (422, True)


def test_a_model_of_the_hub_is_at_main_unless_said(client: TestClient) -> None:
    assert name(client, {"hub": "org/name"}).json()["source"] == HUB


def test_a_bulk_keeps_versions_too(client: TestClient) -> None:
    name(client, {"file": upload(client)})
    reads = {"kind": "count_words", "spec": {"text": "x", "further": [{"model": "churn"}]}}
    jobs = client.post("/v1/jobs/bulk", json={"jobs": [reads, reads]}).json()["jobs"]
    spec = client.get(f"/v1/jobs/{jobs[1]['id']}").json()["spec"]
    assert spec == {"text": "x", "further": [{"model": "churn", "version": 1}]}
    assert client.delete("/v1/models/churn").json()["code"] == "model_in_use"
    wrong = {"kind": "count_words", "spec": {"text": "x", "dataset": {"model": "none"}}}
    refused = client.post("/v1/jobs/bulk", json={"jobs": [reads, wrong]}).json()
    assert [error["field"] for error in refused["errors"]] == ["1.spec.dataset"]


def test_models_that_no_job_can_read(client: TestClient) -> None:
    name(client, HUB, "remote")
    name(client, {"file": upload(client)})
    for dataset, message in (
        ({"model": "none"}, "There is no model 'none'"),
        ({"model": "churn", "version": 9}, "has no version 9; its newest is 1"),
        ({"model": "remote"}, "is org/name of the hub"),
        ({"model": "a b"}, 'or {"model": name}'),
        ({"model": "churn", "version": 0}, 'or {"model": name}'),
    ):
        answer = submit(client, dataset)
        assert answer.status_code == 422
        assert message in answer.json()["detail"], answer.json()
    content = client.get("/v1/models/remote/versions/1/content")
    assert (content.status_code, content.json()["code"]) == (409, "not_stored")


def test_a_kept_model_is_an_input_by_its_id(client: TestClient, trained: str) -> None:
    job = submit(client, {"job": trained, "artifact": "GLM_1"}).json()
    assert job["spec"]["dataset"] == {"job": trained, "artifact": "model_GLM_1.zip"}
    detail = submit(client, {"job": trained, "artifact": "DRF_1"}).json()["detail"]
    assert "did not keep its model 'DRF_1'; it kept GBM_2, GLM_1. Train with keep_models" in detail
    assert "it kept the models GBM_2, GLM_1" in submit(client, {"job": trained, "artifact": "x"}).json()["detail"]
    board = client.get(f"/v1/jobs/{trained}/leaderboard").json()
    assert board["kept"] == RESULT["kept_models"]
    assert "kept" not in client.get(f"/v1/jobs/{trained}/leaderboard", headers={"Accept": "text/csv"}).text


def test_what_a_name_stands_for_stays(client: TestClient, worker: HandWorker) -> None:
    file_id = upload(client)
    name(client, {"file": file_id})
    refused = client.delete(f"/v1/files/{file_id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "file_in_use")
    assert "Version 1 of the model 'churn'" in refused.json()["detail"]
    job = submit(client, {"model": "churn"}).json()["id"]
    in_use = client.delete("/v1/models/churn/versions/1")
    assert (in_use.status_code, in_use.json()["code"]) == (409, "model_in_use")
    assert job in in_use.json()["detail"]
    worker.succeed(worker.start(job))
    assert client.delete("/v1/models/churn").status_code == 204
    assert client.delete("/v1/models/churn").status_code == 404
    assert client.delete(f"/v1/files/{file_id}").status_code == 204
    # A job that was submitted with version 1 must never meet another one of that number.
    assert name(client, HUB).json()["version"] == 2
    worker_job = client.post(f"/v1/jobs/{job}/retry")
    assert worker_job.status_code == 409


def test_one_version_is_deleted_without_the_others(client: TestClient) -> None:
    for _ in range(3):
        name(client, HUB)
    assert client.delete("/v1/models/churn/versions/3").status_code == 204
    assert client.get("/v1/models/churn").json()["version"] == 2
    assert client.delete("/v1/models/churn/versions/3").status_code == 404
    assert name(client, HUB).json()["version"] == 4
    assert client.delete("/v1/models/churn/versions/0").status_code == 422


def test_a_retry_whose_model_is_gone_is_refused(client: TestClient, worker: HandWorker) -> None:
    name(client, {"file": upload(client)})
    job = submit(client, {"model": "churn"}).json()["id"]
    worker.fail(worker.start(job), "It broke.")
    assert client.delete("/v1/models/churn").status_code == 204
    refused = client.post(f"/v1/jobs/{job}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "inputs_missing")


def test_the_documentation_tells_of_models(shared_client: TestClient) -> None:
    document = shared_client.get("/openapi.json").json()
    assert "/v1/models/{name}/versions/{version}/content" in document["paths"]
    assert {"NewModel", "HubModel", "ModelInput"} <= set(document["components"]["schemas"])


def test_versions_added_while_jobs_are_submitted(client: TestClient) -> None:
    file_id = upload(client)
    name(client, {"file": file_id})
    with ThreadPoolExecutor(4) as pool:
        added = [pool.submit(name, client, {"file": file_id}) for _ in range(8)]
        submitted = [pool.submit(submit, client, {"model": "churn"}) for _ in range(8)]
    assert sorted(one.result().json()["version"] for one in added) == list(range(2, 10))
    for job in (one.result().json() for one in submitted):
        version = job["spec"]["dataset"]["version"]
        refused = client.delete(f"/v1/models/churn/versions/{version}")
        assert refused.json()["code"] == "model_in_use", job
    used = {one.result().json()["spec"]["dataset"]["version"] for one in submitted}
    for version in set(range(1, 10)) - used:
        assert client.delete(f"/v1/models/churn/versions/{version}").status_code == 204
