"""What the doctor finds when something is really wrong with the servers."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import update

from api.app import make_app
from api.doctor.surroundings import Surroundings
from db import owners
from db.clock import db_now
from db.engine import Database
from db.rows import JobRow, WorkerRow
from db.schema import downgrade, upgrade
from db.submit import NewJob, submit
from db.workers import register
from tests.servers import PostgresServer, ValkeyServer
from tests.unit.api.serving import Serving, make_serving

KINDS = ["add_numbers", "check_worker", "count_words", "train_automl"]
Examined = Callable[[], dict[str, dict[str, Any]]]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    made = make_serving(tmp_path)
    yield made
    made.services.database.dispose()


def client_of(serving: Serving, **around: Any) -> TestClient:
    services = replace(serving.services, surroundings=Surroundings(**around))
    headers = {"Authorization": f"Bearer {serving.keys.admin}"}
    return TestClient(make_app(services), headers=headers, raise_server_exceptions=False)


def findings(client: TestClient) -> dict[str, dict[str, Any]]:
    answer = client.get("/v1/doctor")
    assert answer.status_code == 200, answer.text
    found = answer.json()["findings"]
    assert all(finding["advice"] for finding in found if finding["status"] != "ok")
    return {finding["name"]: finding for finding in found}


def statuses(found: dict[str, dict[str, Any]], *names: str) -> list[str]:
    return [found[name]["status"] for name in names]


def add_worker(database: Database, queue: str, hostname: str = "here", kinds: list[str] = KINDS) -> str:
    with database.write() as session:
        return register(session, name=f"{queue}-0", hostname=hostname, pid=1, queue=queue, slots=2, kinds=kinds)


def age_worker(database: Database, worker_id: str, seconds: float) -> None:
    moment = db_now(timedelta(seconds=-seconds))
    values = {"last_seen_at": moment, "started_at": moment}
    with database.write() as session:
        session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(**values))


def test_a_healthy_server(serving: Serving, valkey: ValkeyServer) -> None:
    add_worker(serving.services.database, "cpu")
    add_worker(serving.services.database, "h2o")
    with client_of(serving, broker_url=SecretStr(valkey.url)) as client:
        found = findings(client)
    assert {finding["status"] for finding in found.values()} == {"ok"}, found
    assert {"database", "migrations", "database_clock", "workers", "kinds", "backlog", "disk", "broker"} <= set(found)


@pytest.mark.parametrize(
    ("setting", "value", "name", "status"),
    [
        ("maxmemory-policy", "allkeys-lru", "broker_eviction", "fail"),
        ("appendonly", "no", "broker_persistence", "warn"),
    ],
)
def test_a_broker_that_forgets(
    serving: Serving, valkey: ValkeyServer, setting: str, value: str, name: str, status: str
) -> None:
    valkey.client().config_set(setting, value)
    with client_of(serving, broker_url=SecretStr(valkey.url)) as client:
        found = findings(client)
        assert (found[name]["status"], found["broker"]["status"]) == (status, "ok")
        valkey.client().config_set("save", "60 1")
        assert setting != "appendonly" or findings(client)[name]["status"] == "ok"


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_broker_that_does_not_answer(serving: Serving, valkey: ValkeyServer, how: signal.Signals) -> None:
    valkey.signal(how)
    with client_of(serving, broker_url=SecretStr(valkey.url)) as client:
        found = findings(client)
        assert statuses(found, "broker", "database") == ["fail", "ok"]
        assert valkey.url not in str(found)
    valkey.signal(signal.SIGCONT)


def test_a_database_at_an_old_migration(serving: Serving) -> None:
    with client_of(serving) as client:
        downgrade(serving.services.database, "0001")
        old = findings(client)["migrations"]
        assert (old["status"], "at migration 0001" in old["message"]) == ("fail", True)
        with serving.services.database.writing_engine.begin() as connection:
            connection.exec_driver_sql("update alembic_version set version_num = '9999'")
        newer = findings(client)["migrations"]
        assert (newer["status"], "newer version" in newer["message"]) == ("fail", True)


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server that may be frozen."""
    server = PostgresServer(tmp_path, durable=False)
    server.start()
    yield server
    server.stop()


def test_a_frozen_database(serving: Serving, own_postgres: PostgresServer) -> None:
    database = Database(own_postgres.make_database())
    upgrade(database)
    with database.write() as session:
        key = owners.make_key(session, owner="root", name="test", admin=True)
    services = replace(serving.services, database=database)
    with TestClient(make_app(services), headers={"Authorization": f"Bearer {key}"}) as client:
        assert findings(client)["database"]["message"].startswith("PostgreSQL answers")
        own_postgres.signal(signal.SIGSTOP)
        for _ in range(3):
            answer = client.get("/v1/doctor")
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        own_postgres.signal(signal.SIGCONT)
    database.dispose()


def test_nobody_to_run_anything(serving: Serving) -> None:
    with serving.services.database.write() as session:
        holder = owners.holder_of(session, serving.keys.ann)
        assert holder is not None
        new = NewJob(owner_id=holder.owner_id, kind="count_words", queue="gpu", spec={}, max_attempts=1)
        job_id = submit(session, new).id
        session.execute(update(JobRow).where(JobRow.id == job_id).values(queued_at=db_now(timedelta(hours=-3))))
    with client_of(serving) as client:
        found = findings(client)
        assert statuses(found, "workers", "kinds", "unattended_queue", "backlog") == ["fail", "warn", "fail", "warn"]
        assert "count_words (cpu or gpu)" in found["kinds"]["message"]
        assert "for 3 hours (gpu)" in found["backlog"]["message"]
        add_worker(serving.services.database, "cpu")
        found = findings(client)
        assert statuses(found, "workers", "kinds", "unattended_queue") == ["ok", "warn", "fail"]
        assert "train_automl (h2o)" in found["kinds"]["message"]


def test_a_worker_that_vanished(serving: Serving) -> None:
    database = serving.services.database
    worker_id = add_worker(database, "cpu")
    with client_of(serving) as client:
        age_worker(database, worker_id, 3 * 60)
        vanished = findings(client)["lost_workers"]
        assert (vanished["status"], "cpu-0 (3 minutes ago)" in vanished["message"]) == ("warn", True)
        add_worker(database, "cpu")
        assert findings(client)["lost_workers"]["status"] == "ok"


def test_workers_of_another_version(serving: Serving) -> None:
    add_worker(serving.services.database, "cpu", kinds=["add_numbers", "check_worker", "paint_walls"])
    with client_of(serving) as client:
        answer = client.get("/v1/doctor").json()
    said = [finding["message"] for finding in answer["findings"] if finding["name"] == "worker_kinds"]
    assert said == [
        "The worker cpu-0 does not know: count_words.",
        "The API does not know what cpu-0 does: paint_walls.",
    ]


def test_one_sqlite_file_for_several_machines(serving: Serving) -> None:
    add_worker(serving.services.database, "cpu")
    add_worker(serving.services.database, "h2o", hostname="there")
    with client_of(serving) as client:
        found = findings(client)
    assert found["sqlite_hosts"]["status"] == "fail"
    assert "there" not in found["sqlite_hosts"]["message"]
