"""What the doctor finds when something is really wrong with the servers."""

import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import NullPool, create_engine, make_url, update

from api.app import make_app
from api.doctor.broker import broker_findings
from api.doctor.database import database_findings
from api.doctor.findings import Finding, Status
from api.doctor.surroundings import Surroundings
from db import owners
from db.claims import Claimant, Token, claim
from db.clock import db_now
from db.engine import Database
from db.finish import lose
from db.rows import JobRow, WorkerRow
from db.schema import downgrade, upgrade
from db.states import Reason
from db.submit import NewJob, submit
from db.workers import register
from tasks.registry import load_kinds
from tests.servers import PostgresServer, ValkeyServer, free_port
from tests.unit.api.serving import Serving, make_serving
from tests.waiting import until

KINDS = sorted(load_kinds(("tests.unit.api.kinds",)))
HERE = socket.gethostname()
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


def add_worker(database: Database, queue: str, hostname: str = HERE, kinds: list[str] = KINDS) -> str:
    with database.write() as session:
        worker_id = register(session, name=f"{queue}-0", hostname=hostname, pid=1, queue=queue, slots=2, kinds=kinds)
        # It sends no sign of life, and a slow machine's test takes longer than a worker may be silent.
        seen = update(WorkerRow).where(WorkerRow.id == worker_id).values(last_seen_at=db_now(timedelta(minutes=1)))
        session.execute(seen)
    return worker_id


def age_worker(database: Database, worker_id: str, seconds: float) -> None:
    moment = db_now(timedelta(seconds=-seconds))
    values = {"last_seen_at": moment, "started_at": moment}
    with database.write() as session:
        session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(**values))


def test_a_healthy_server(serving: Serving, valkey: ValkeyServer) -> None:
    add_worker(serving.services.database, "cpu")
    add_worker(serving.services.database, "h2o")
    valkey.client().config_set("requirepass", "secret")
    with client_of(serving, broker_url=SecretStr(valkey.url.replace("//", "//:secret@"))) as client:
        found = findings(client)
    # Tests may run in memory.
    assert {finding["status"] for name, finding in found.items() if name != "data_place"} == {"ok"}, found
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


def broker(valkey: ValkeyServer) -> dict[str, Finding]:
    return {finding.name: finding for finding in broker_findings(valkey.url)}


def test_a_broker_that_is_nearly_full(valkey: ValkeyServer) -> None:
    used = valkey.client().info()["used_memory"]
    valkey.client().config_set("maxmemory", int(1.1 * used))
    assert broker(valkey)["broker_writes"].status is Status.WARN
    valkey.client().config_set("maxmemory", 100 * used)
    assert broker(valkey)["broker_writes"].status is Status.OK


def test_a_broker_that_is_a_replica(valkey: ValkeyServer) -> None:
    valkey.client().replicaof("127.0.0.1", str(free_port()))
    found = broker(valkey)["broker_writes"]
    assert (found.status, "replica" in found.message) == (Status.FAIL, True)


def test_a_broker_that_can_not_save(valkey: ValkeyServer, tmp_path: Path) -> None:
    valkey.client().config_set("appendonly", "no")
    valkey.client().config_set("save", "3600 1")
    shutil.rmtree(tmp_path / "appendonlydir")
    # A directory in its place: the snapshot can't be renamed to it.
    (tmp_path / "dump.rdb" / "full").mkdir(parents=True)
    valkey.client().bgsave()
    until(lambda: valkey.client().info()["rdb_last_bgsave_status"] == "err", what="a failed snapshot")
    found = broker(valkey)["broker_writes"]
    assert (found.status, "snapshot" in found.message) == (Status.FAIL, True)


def test_a_broker_without_a_password(valkey: ValkeyServer) -> None:
    assert broker(valkey)["broker_password"].status is Status.WARN
    # An address of this network is nobody's, so that the test opens nothing; the sign says that it may be absent.
    valkey.client().config_set("bind", "127.0.0.1 -192.0.2.1")
    assert broker(valkey)["broker_password"].status is Status.WARN
    valkey.client().config_set("protected-mode", "no")
    assert broker(valkey)["broker_password"].status is Status.FAIL


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


def of_postgres(url: str) -> dict[str, Finding]:
    database = Database(url)
    try:
        return {finding.name: finding for finding in database_findings(database)}
    finally:
        database.dispose()


def told(server: PostgresServer, statement: str) -> None:
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_database_that_does_not_wait_for_its_disk(tmp_path: Path, own_postgres: PostgresServer) -> None:
    found = of_postgres(own_postgres.url)["database_durability"]
    assert (found.status, "fsync" in found.message) == (Status.FAIL, True)
    (tmp_path / "durable").mkdir()
    durable = PostgresServer(tmp_path / "durable")
    durable.start()
    try:
        assert of_postgres(durable.url)["database_durability"].status is Status.OK
        told(durable, "ALTER DATABASE postgres SET synchronous_commit = off")
        found = of_postgres(durable.url)["database_durability"]
        assert (found.status, "synchronous_commit" in found.message) == (Status.FAIL, True)
    finally:
        durable.stop()


def test_a_database_that_takes_no_writes(own_postgres: PostgresServer) -> None:
    assert of_postgres(own_postgres.url)["database_writes"].status is Status.OK
    told(own_postgres, "ALTER DATABASE postgres SET default_transaction_read_only = on")
    assert of_postgres(own_postgres.url)["database_writes"].status is Status.FAIL


def test_a_standby(own_postgres: PostgresServer) -> None:
    own_postgres.become_standby()
    found = of_postgres(own_postgres.url)["database_writes"]
    assert (found.status, "standby" in found.message) == (Status.FAIL, True)


def test_a_database_with_hardly_any_connection_left(own_postgres: PostgresServer) -> None:
    assert of_postgres(own_postgres.url)["database_connections"].status is Status.OK
    engine = create_engine(own_postgres.url, poolclass=NullPool)
    with ExitStack() as connections:
        for _ in range(170):
            connections.enter_context(engine.connect())
        assert of_postgres(own_postgres.url)["database_connections"].status is Status.WARN


def test_a_database_of_another_encoding(own_postgres: PostgresServer) -> None:
    told(own_postgres, "CREATE DATABASE other ENCODING 'LATIN1' TEMPLATE template0")
    url = make_url(own_postgres.url).set(database="other").render_as_string(hide_password=False)
    found = of_postgres(url)["database_encoding"]
    assert (found.status, "LATIN1" in found.message) == (Status.FAIL, True)
    assert "database_encoding" not in of_postgres(own_postgres.url)


def test_jobs_that_ran_out_of_memory(serving: Serving) -> None:
    database = serving.services.database
    claimant = Claimant(add_worker(database, "cpu"), "cpu-0")
    with client_of(serving) as client:
        assert findings(client)["out_of_memory"]["status"] == "ok"
        with database.write() as session:
            holder = owners.holder_of(session, serving.keys.ann)
            assert holder is not None
            new = NewJob(owner_id=holder.owner_id, kind="count_words", queue="cpu", spec={}, max_attempts=1)
            (job,) = claim(session, [submit(session, new).id], claimant)
            lose(session, Token(job.id, job.attempt), cause="too much", reason=Reason.OUT_OF_MEMORY)
        found = findings(client)["out_of_memory"]
    assert (found["status"], "count_words (1 attempts)" in found["message"]) == ("warn", True)


def test_a_worker_elsewhere_shares_the_api_s_sqlite_file(serving: Serving) -> None:
    add_worker(serving.services.database, "cpu", hostname="there")
    with client_of(serving) as client:
        assert findings(client)["sqlite_hosts"]["status"] == "fail"


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
    add_worker(serving.services.database, "cpu", kinds=[*(set(KINDS) - {"count_words"}), "paint_walls"])
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
