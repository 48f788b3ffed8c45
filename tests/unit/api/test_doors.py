"""Who gets in, what everybody may see, and how errors look."""

import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from api.setup import KeyFileLost, set_up
from db.engine import Database
from db.owners import holder_of
from tests.unit.api.serving import HandWorker, Serving

COUNT = {"kind": "count_words", "spec": {"text": "one two"}}
OPEN = {"/healthz", "/readyz"}


def addresses(client: TestClient) -> list[tuple[str, str]]:
    paths = client.get("/openapi.json").json()["paths"]
    return [(method, path) for path, methods in paths.items() for method in methods]


def test_every_call_but_health_needs_a_key(shared_client: TestClient) -> None:
    calls = addresses(shared_client)
    assert len(calls) > 20
    for method, path in calls:
        if path in OPEN:
            continue
        address = path.format(job_id="x", file_id="x", name="x", version=1)
        for wrong in ({"Authorization": ""}, {"Authorization": "Bearer tk_wrong"}, {"Authorization": "Basic x"}):
            answer = shared_client.request(method, address, headers=wrong)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["content-type"] == "application/problem+json"


def test_others_see_nothing_and_admins_see_all(client: TestClient, serving: Serving, worker: HandWorker) -> None:
    job_id = client.post("/v1/jobs", json=COUNT).json()["id"]
    worker.save(worker.start(job_id), "a.txt", b"x")
    file_id = client.post("/v1/files", files={"file": ("x.txt", b"x")}).json()["id"]
    mine = [f"/v1/jobs/{job_id}{part}" for part in ("", "/events?format=json", "/leaderboard", "/artifacts")]
    mine += [f"/v1/jobs/{job_id}/{part}" for part in ("artifacts/a.txt", "attempts")]
    mine += [f"/v1/files/{file_id}", f"/v1/files/{file_id}/content"]
    bob = {"Authorization": f"Bearer {serving.keys.bob}"}
    admin = {"Authorization": f"Bearer {serving.keys.admin}"}
    for address in mine:
        assert client.get(address).status_code == 200, address
        assert client.get(address, headers=admin).status_code == 200, address
        refused = client.get(address, headers=bob)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), address
    assert client.get(f"/v1/jobs/{job_id}/events", headers=bob).status_code == 404
    for action in ("cancel", "stop"):
        assert client.post(f"/v1/jobs/{job_id}/{action}", headers=bob).status_code == 404
    assert client.delete(f"/v1/files/{file_id}", headers=bob).status_code == 404
    assert client.post("/v1/jobs", json={**COUNT, "after": [job_id]}, headers=bob).status_code == 422
    assert client.get("/v1/jobs", headers=bob).json()["jobs"] == []
    assert client.get("/v1/files", headers=bob).json()["files"] == []
    assert [job["id"] for job in client.get("/v1/jobs", headers=admin).json()["jobs"]] == [job_id]
    assert client.post(f"/v1/jobs/{job_id}/cancel", headers=admin).status_code == 200


def test_unknown_addresses_and_methods_are_problems(shared_client: TestClient) -> None:
    for answer, status in ((shared_client.get("/v1/nothing"), 404), (shared_client.delete("/v1/jobs"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(answer.json()) == {"type", "title", "status", "detail", "code"}


def test_an_unexpected_error_tells_nothing(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise ValueError("/secret/path")

    monkeypatch.setattr("api.routes.catalog.live_workers", broken)
    answer = client.get("/v1/workers")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


def test_the_catalog(client: TestClient, worker: HandWorker) -> None:
    kinds = {kind["name"]: kind for kind in client.get("/v1/kinds").json()["kinds"]}
    kind = kinds["count_words"]
    assert kind["doc"] == "Count the words of texts."
    assert (kind["queues"], kind["default_queue"], kind["max_attempts"]) == (["cpu", "gpu"], "cpu", 3)
    assert kind["spec_schema"]["required"] == ["text"]
    assert client.get("/v1/kinds/count_words").json() == kind
    assert client.get("/v1/kinds/none").status_code == 404
    client.post("/v1/jobs", json=COUNT)
    cpu = next(queue for queue in client.get("/v1/queues").json()["queues"] if queue["name"] == "cpu")
    assert (cpu["queued"], cpu["live_workers"], cpu["slots"]) == (1, 1, 2)
    assert cpu["oldest_queued_at"].endswith("Z")
    [known] = client.get("/v1/workers").json()["workers"]
    assert (known["name"], known["queue"], known["slots"]) == ("cpu@here", "cpu", 2)


def test_health_needs_no_key_and_tells_the_truth(serving: Serving) -> None:
    with TestClient(serving.make_app()) as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        assert client.get("/readyz").json() == {"status": "ready", "database": "ok", "broker": "unknown"}
        with serving.services.database.writing_engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
        behind = client.get("/readyz")
        assert (behind.status_code, behind.json()["code"]) == (503, "database_not_migrated")


def test_the_schema_knows_each_kinds_submission(shared_client: TestClient) -> None:
    document = shared_client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert schemas["Submission"]["discriminator"]["mapping"]["count_words"].endswith("/CountWordsSubmission")
    assert schemas["CountWordsSubmission"]["properties"]["spec"]["$ref"].endswith("/CountWords")
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert reference in schemas


def test_the_documentation_works_offline(shared_client: TestClient) -> None:
    page = shared_client.get("/docs").text
    assert "://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert shared_client.get(f"/docs/assets/{asset}").status_code == 200


def test_set_up_makes_one_key_and_never_another_silently(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'turnout.db'}")
    key_file = tmp_path / "api-key"
    set_up(database, key_file)
    first = key_file.read_text()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    set_up(database, key_file)
    assert key_file.read_text() == first
    key_file.unlink()
    with pytest.raises(KeyFileLost, match="--new-key"):
        set_up(database, key_file)
    set_up(database, key_file, new_key=True)
    with database.read() as session:
        holder = holder_of(session, key_file.read_text().strip())
        assert holder is not None
        assert (holder.owner_name, holder.admin) == ("owner", True)
        assert holder_of(session, first.strip()) is not None
    database.dispose()


def test_a_shadowing_module_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "__init__.py").write_text("")
    code = "import db, api.rooms; api.rooms.check_rooms()"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "shadows" in done.stderr


def test_no_ml_library_is_imported() -> None:
    libraries = ("torch", "transformers", "onnxruntime", "h2o", "openai", "pandas", "numpy")
    code = (
        "import sys, api.__main__, tasks.registry; tasks.registry.load_kinds();"
        f"print([name for name in {libraries} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/v1/jobs/%00", 404),
        ("/v1/files/a%00b/content", 404),
        ("/v1/kinds/%00", 404),
        ("/docs/assets/%00", 404),
        ("/v1/jobs?kind=%00", 422),
        ("/v1/jobs?cursor=%00", 422),
        ("/v1/jobs?tag.a=%00", 422),
        ("/v1/files?cursor=a%00", 422),
        ("/v1/jobs/x/events?format=json&after=2147483648", 422),
    ],
)
def test_odd_addresses_are_problems(shared_client: TestClient, address: str, status: int) -> None:
    answer = shared_client.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_the_access_log_knows_an_unexpected_error(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise ValueError

    monkeypatch.setattr("api.routes.catalog.live_workers", broken)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as lines:
        client.get("/v1/workers")
        client.get("/v1/kinds")
    requests = [line for line in lines if line["event"] == "http_request"]
    assert [(line["route"], line["status"]) for line in requests] == [("/v1/workers", 500), ("/v1/kinds", 200)]
