from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy.exc import IntegrityError

import api.submission
from api.placing import Placing
from api.services import Services
from api.submission import accept_many
from api.submission_bodies import SubmissionBodies
from db.bulk import Accepted, submit_all
from db.engine import Database
from db.owners import KeyHolder
from db.states import State
from db.submit import IdempotencyConflict, NewJob, UnknownReference, submit, submit_once
from tasks.registry import load_kinds
from tests.integration.conftest import make_owner
from tests.integration.rows import event_types, job_row


def new_job(owner_id: str) -> NewJob:
    return NewJob(owner_id=owner_id, kind="check_worker", queue="cpu", spec={}, max_attempts=1)


def test_a_job_is_queued_with_its_first_event(database: Database, submitted: Callable[..., str]) -> None:
    job_id = submitted(spec={"message": "hi"}, priority=9)
    job = job_row(database, job_id)
    assert (job.state, job.priority, job.spec, job.attempt) == (State.QUEUED, 9, {"message": "hi"}, 0)
    assert event_types(database, job_id) == ["state"]


def test_a_job_for_later_waits(database: Database, submitted: Callable[..., str]) -> None:
    assert job_row(database, submitted(run_at=datetime.now(UTC) + timedelta(hours=1))).state == State.WAITING


def test_a_job_for_another_job_waits(database: Database, submitted: Callable[..., str]) -> None:
    assert job_row(database, submitted(after=[submitted()])).state == State.WAITING


def test_references_must_exist(submitted: Callable[..., str]) -> None:
    with pytest.raises(UnknownReference, match="nobody"):
        submitted(after=["nobody"])
    with pytest.raises(UnknownReference, match="nothing"):
        submitted(file_ids=["nothing"])


def test_one_key_makes_one_job(database: Database, owner_id: str) -> None:
    with database.write() as session:
        first, created = submit_once(session, new_job(owner_id), key="k", body_sha256="a")
    with database.write() as session:
        second, created_again = submit_once(session, new_job(owner_id), key="k", body_sha256="a")
    assert (created, created_again, first.id) == (True, False, second.id)
    with pytest.raises(IdempotencyConflict), database.write() as session:
        submit_once(session, new_job(owner_id), key="k", body_sha256="b")


def test_one_key_makes_one_job_from_many_threads(database: Database, owner_id: str) -> None:
    def attempt(_number: int) -> str:
        while True:
            try:
                with database.write() as session:
                    return submit_once(session, new_job(owner_id), key="k", body_sha256="a")[0].id
            except IntegrityError:
                continue

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(attempt, range(32)))) == 1


def test_an_owner_s_first_submissions_may_come_at_once(database: Database, owner_id: str) -> None:
    def attempt(_number: int) -> str:
        with database.write() as session:
            return submit(session, new_job(owner_id)).id

    with ThreadPoolExecutor(8) as pool:
        job_ids = list(pool.map(attempt, range(32)))
    assert sorted(job_row(database, job_id).fair_tag for job_id in job_ids) == list(range(32))


def test_one_key_makes_one_set_of_jobs_from_many_threads(database: Database, owner_id: str) -> None:
    kinds = load_kinds(("tests.unit.api.kinds",))
    body = {"kind": "add_numbers", "spec": {"kind": "add_numbers", "a": 1, "b": 2}}
    bodies = SubmissionBodies(kinds).validate_many([body, body])
    services = cast(Services, SimpleNamespace(database=database, kinds=kinds, placing=Placing()))
    holder = KeyHolder(owner_id, "ada", admin=False)

    def attempt(_number: int) -> tuple[str, ...]:
        return tuple(job.job_id for job in accept_many(services, holder, bodies, "k"))

    with ThreadPoolExecutor(8) as pool:
        (only,) = set(pool.map(attempt, range(32)))
    assert len(set(only)) == 2


def test_a_long_bulk_holds_up_no_submission(postgres_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite has one writer at a time; there a bulk is short instead."""
    database = postgres_database
    owner_id, other_id = make_owner(database, "ada"), make_owner(database, "ben")
    kinds = load_kinds(("tests.unit.api.kinds",))
    body = {"kind": "add_numbers", "spec": {"a": 1, "b": 2}}
    bodies = SubmissionBodies(kinds).validate_many([body] * 3)
    services = cast(Services, SimpleNamespace(database=database, kinds=kinds, placing=Placing()))
    meanwhile: list[str] = []

    def slowly(*arguments: object) -> list[Accepted]:
        written = submit_all(*arguments)  # type: ignore[arg-type]
        for owner in (owner_id, other_id):
            # One that had to wait would break at the lock's timeout.
            with database.write() as session:
                meanwhile.append(submit(session, new_job(owner)).id)
        return written

    monkeypatch.setattr(api.submission, "submit_all", slowly)
    jobs = accept_many(services, KeyHolder(owner_id, "ada", admin=False), bodies, None)
    tags = [job_row(database, job_id).fair_tag for job_id in [*(job.job_id for job in jobs), *meanwhile]]
    assert tags == [0, 1, 2, 3, 0]
