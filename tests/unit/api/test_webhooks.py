"""What a submission may say of a webhook, and what the API tells of it."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.unit.api.serving import Serving, make_serving

COUNT = {"kind": "count_words", "spec": {"text": "one two"}}
HOOK = {"url": "https://hooks.example/a?token=secret"}


def test_a_job_shows_its_webhook_without_secrets(client: TestClient) -> None:
    job = client.post("/v1/jobs", json={**COUNT, "webhook": HOOK}).json()
    assert job["webhook"] == {
        "url": "https://hooks.example/a?…",
        "events": ["final"],
        "delivered": 0,
        "missed": 0,
        "tries": 0,
        "next_try_at": None,
        "last_try_at": None,
        "last_status": None,
        "last_problem": None,
        "ended": None,
    }
    assert client.get(f"/v1/jobs/{job['id']}").json()["webhook"] == job["webhook"]
    (listed,) = client.get("/v1/jobs").json()["jobs"]
    assert listed["webhook"] == job["webhook"]


def test_a_bulk_has_webhooks_too(client: TestClient) -> None:
    items = [{**COUNT, "webhook": {**HOOK, "events": ["state", "state"]}}, COUNT]
    first, second = (item["id"] for item in client.post("/v1/jobs/bulk", json={"jobs": items}).json()["jobs"])
    assert client.get(f"/v1/jobs/{first}").json()["webhook"]["events"] == ["state"]
    assert client.get(f"/v1/jobs/{second}").json()["webhook"] is None


@pytest.mark.parametrize(
    ("webhook", "field"),
    [
        ({"url": "https://127.0.0.1/"}, "webhook.url"),
        ({"url": "https://10.0.0.1/"}, "webhook.url"),
        ({"url": "http://hooks.example/"}, "webhook.url"),
        ({"url": "https://me:secret@hooks.example/"}, "webhook.url"),
        ({"url": "no-url"}, "webhook.url"),
        ({}, "webhook.url"),
        ({**HOOK, "events": []}, "webhook.events"),
        ({**HOOK, "events": ["progress"]}, "webhook.events.0"),
        ({**HOOK, "secret": "x"}, "webhook.secret"),
        ("https://hooks.example/", "webhook"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_named(client: TestClient, webhook: object, field: str) -> None:
    alone = client.post("/v1/jobs", json={**COUNT, "webhook": webhook})
    assert alone.status_code == 422
    assert [error["field"] for error in alone.json()["errors"]] == [field]
    assert "secret@" not in alone.text
    many = client.post("/v1/jobs/bulk", json={"jobs": [COUNT, {**COUNT, "webhook": webhook}]})
    assert many.status_code == 422
    assert [error["field"] for error in many.json()["errors"]] == [f"1.{field}"]


def test_an_allowed_network_may_be_named(tmp_path: Path) -> None:
    serving = make_serving(tmp_path, webhook_allow=(ip_network("127.0.0.0/8"),))
    with TestClient(serving.make_app(), headers={"Authorization": f"Bearer {serving.keys.ann}"}) as client:
        webhook = {"url": "http://127.0.0.1:9/"}
        assert client.post("/v1/jobs", json={**COUNT, "webhook": webhook}).status_code == 202
        assert client.post("/v1/jobs", json={**COUNT, "webhook": {"url": "http://10.1.1.1/"}}).status_code == 422
    serving.services.database.dispose()


def test_a_retry_has_the_webhook_of_the_first_job(client: TestClient) -> None:
    webhook = {**HOOK, "events": ["state"]}
    job = client.post("/v1/jobs", json={**COUNT, "webhook": webhook}).json()
    client.post(f"/v1/jobs/{job['id']}/cancel")
    again = client.post(f"/v1/jobs/{job['id']}/retry").json()
    assert (again["webhook"]["url"], again["webhook"]["events"]) == ("https://hooks.example/a?…", ["state"])


def test_an_owner_s_secret_is_its_own_and_can_be_replaced(client: TestClient, serving: Serving) -> None:
    answer = client.get("/v1/webhook-secret")
    assert answer.headers["cache-control"] == "no-store"
    secret = answer.json()["secret"]
    assert secret.startswith("whsec_")
    assert client.get("/v1/webhook-secret").json()["secret"] == secret
    bob = {"Authorization": f"Bearer {serving.keys.bob}"}
    assert client.get("/v1/webhook-secret", headers=bob).json()["secret"] != secret
    replaced = client.post("/v1/webhook-secret/replace").json()["secret"]
    assert replaced != secret
    assert client.get("/v1/webhook-secret").json()["secret"] == replaced


def test_the_same_key_with_another_webhook_is_another_body(client: TestClient) -> None:
    key = {"Idempotency-Key": "k"}
    first = client.post("/v1/jobs", json={**COUNT, "webhook": HOOK}, headers=key)
    again = client.post("/v1/jobs", json={**COUNT, "webhook": HOOK}, headers=key)
    assert again.json()["id"] == first.json()["id"]
    assert client.post("/v1/jobs", json=COUNT, headers=key).status_code == 409
