"""What ``GET /metrics`` says of requests and hints, and to whom."""

import time
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from api.routes import health
from db.webhooks import notice
from tests.unit.api.serving import Background, HandWorker, Serving
from tests.waiting import until


class Metrics:
    """Asks with the admin key."""

    def __init__(self, client: TestClient, key: str) -> None:
        self._client, self._headers = client, {"Authorization": f"Bearer {key}"}

    def text(self, **headers: str) -> str:
        answer = self._client.get("/metrics", headers={**self._headers, **headers})
        assert answer.status_code == 200, answer.text
        return answer.text

    def value(self, name: str, **labels: str) -> float | None:
        """The one sample with these labels, whatever others it has; None if there is none."""
        found = [
            sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert len(found) <= 1, found
        return found[0] if found else None


@pytest.fixture
def metrics(client: TestClient, serving: Serving) -> Iterator[Metrics]:
    return Metrics(client, serving.keys.admin)


def submit(client: TestClient) -> str:
    answer = client.post("/v1/jobs", json={"kind": "add_numbers", "spec": {"a": 1, "b": 2}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_only_admin_keys_see_them(client: TestClient) -> None:
    refused = client.get("/metrics")
    assert (refused.status_code, refused.json()["code"]) == (403, "admin_needed")
    assert client.get("/metrics", headers={"Authorization": ""}).status_code == 401


def test_requests_are_counted_by_template(client: TestClient, metrics: Metrics) -> None:
    job_id = submit(client)
    for _ in range(3):
        client.get(f"/v1/jobs/{job_id}")
    client.get("/v1/jobs/nothing")
    route = "/v1/jobs/{job_id}"
    assert metrics.value("turnout_http_requests_total", route=route, method="GET", status="200") == 3
    assert metrics.value("turnout_http_requests_total", route=route, method="GET", status="404") == 1
    assert metrics.value("turnout_http_requests_total", route="/v1/jobs", method="POST", status="202") == 1
    assert metrics.value("turnout_http_request_seconds_count", route=route, method="GET") == 4
    # This very request.
    assert metrics.value("turnout_http_requests_in_progress") == 1


def test_strangers_make_no_new_labels(client: TestClient, metrics: Metrics) -> None:
    for name in ("a", "b"):
        client.get(f"/no/such/{name}")
        client.request(name.upper(), "/healthz")
        client.get(f"/docs/assets/{name}")
    text = metrics.text()
    assert metrics.value("turnout_http_requests_total", route="unmatched", method="GET", status="404") == 4
    assert metrics.value("turnout_http_requests_total", method="other") == 2
    assert "/no/such" not in text
    assert "/docs/assets/" not in text


def test_an_unexpected_error_counts_as_500(
    client: TestClient, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_database: object) -> bool:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(health, "is_current", broken)
    assert client.get("/readyz").status_code == 500
    assert metrics.value("turnout_http_requests_total", route="/readyz", status="500") == 1


def test_streams_and_long_polls_show_while_they_are_open(
    client: TestClient, metrics: Metrics, worker: HandWorker
) -> None:
    job_id = submit(client)
    token = worker.start(job_id)
    streaming = Background(lambda: client.get(f"/v1/jobs/{job_id}/events"))
    waiting = Background(lambda: client.get(f"/v1/jobs/{job_id}?wait=30"))
    preferring = Background(lambda: client.post("/v1/jobs", json=_OTHER, headers={"Prefer": "wait=30"}))
    until(lambda: metrics.value("turnout_event_streams_open") == 1, what="an open stream")
    until(lambda: metrics.value("turnout_long_polls_waiting") == 2, what="two long-polls")
    worker.succeed(token, sum=3)
    streaming.result()
    waiting.result()
    (other,) = (job for job in client.get("/v1/jobs?state=queued").json()["jobs"])
    worker.succeed(worker.start(other["id"]), sum=3)
    preferring.result()
    assert metrics.value("turnout_event_streams_open") == 0
    assert metrics.value("turnout_long_polls_waiting") == 0
    # They last as long as somebody likes, which says nothing of how fast answers are.
    assert metrics.value("turnout_http_request_seconds_count", route="/v1/jobs/{job_id}") is None
    assert metrics.value("turnout_http_request_seconds_count", route="/v1/jobs/{job_id}/events") is None
    assert metrics.value("turnout_http_requests_total", route="/v1/jobs/{job_id}/events", status="200") == 1


_OTHER = {"kind": "add_numbers", "spec": {"a": 1, "b": 2}}


def test_hints_and_the_broker(client: TestClient, metrics: Metrics, serving: Serving) -> None:
    assert metrics.value("turnout_broker_answers") is None
    submit(client)
    until(lambda: metrics.value("turnout_hints_sent_total") == 1, what="a hint")
    assert metrics.value("turnout_broker_answers") == 1
    serving.sender.available = False
    submit(client)
    until(lambda: (metrics.value("turnout_hint_failures_total") or 0) >= 1, what="a refusal")
    assert metrics.value("turnout_broker_answers") == 0
    assert metrics.value("turnout_hints_sent_total") == 1


def test_both_formats_can_be_read(client: TestClient, metrics: Metrics) -> None:
    submit(client)
    plain = {family.name for family in text_string_to_metric_families(metrics.text())}
    openmetrics = "application/openmetrics-text; version=1.0.0"
    modern = {family.name for family in openmetrics_families(metrics.text(Accept=openmetrics))}
    assert {"turnout_jobs", "turnout_http_requests", "turnout_attempt_batch_size"} <= plain & modern


def test_an_unheard_of_version_is_answered_in_the_usual_format(metrics: Metrics) -> None:
    said = metrics.text(Accept="application/openmetrics-text; version=latest")
    assert "turnout_jobs" in {family.name for family in text_string_to_metric_families(said)}


def test_the_process_is_in_it(metrics: Metrics) -> None:
    started = metrics.value("process_start_time_seconds")
    assert started is not None
    assert 0 < started <= time.time()


def test_webhooks_that_are_due(client: TestClient, metrics: Metrics, serving: Serving) -> None:
    assert metrics.value("turnout_webhooks_due") == 0
    assert metrics.value("turnout_webhook_oldest_due_age_seconds") is None
    body = {"kind": "add_numbers", "spec": {"a": 1, "b": 2}, "webhook": {"url": "https://hooks.example/"}}
    job_id = client.post("/v1/jobs", json=body).json()["id"]
    client.post(f"/v1/jobs/{job_id}/cancel")
    with serving.services.database.write() as session:
        assert notice(session) == 1
    assert metrics.value("turnout_webhooks_due") == 1
    assert (metrics.value("turnout_webhook_oldest_due_age_seconds") or 0) >= 0
