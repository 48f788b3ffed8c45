"""Names for models on real databases: numbers given at once, and what deletion and retention leave alone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from db import finish
from db.attempt_writes import NewArtifact, add_artifact
from db.bulk import submit_all
from db.claims import Token
from db.engine import Database
from db.files import FileNamed, add_file, delete_file
from db.named_models import (
    ModelInUse,
    NewVersion,
    SourceGone,
    add_version,
    content_of,
    delete_versions,
    find_version,
    versions_of,
)
from db.rows import FileRow, JobRow, ModelVersionRow
from db.settings import DatabaseSettings
from db.store import Store, Stored
from db.submit import NewJob, UnknownReference, submit
from tasks.contracts import ModelInput
from tasks.errors import InvalidInput
from tests.integration.conftest import make_owner
from tests.integration.rows import shift
from workers.artifacts import input_path
from workers.retention import forget_old

Start = Callable[..., Token]


def named(database: Database, owner_id: str, **source: object) -> ModelVersionRow:
    with database.write() as session:
        return add_version(session, NewVersion(owner_id, "churn", **source))  # type: ignore[arg-type]


def a_file(database: Database, owner_id: str, key: str = "files/f") -> str:
    with database.write() as session:
        stored = Stored(4, "0" * 64)
        return add_file(session, owner_id=owner_id, name="m.zip", media_type="a/b", key=key, stored=stored).id


def ended(database: Database, token: Token, *, days_ago: float) -> str:
    with database.write() as session:
        add_artifact(session, token, NewArtifact("model.zip", "application/zip", 4, "1" * 64, f"jobs/{token.job_id}/a"))
    with database.write() as session:
        finish.succeed(session, token, {}, {})
    shift(database, token.job_id, finished_at=-timedelta(days=days_ago).total_seconds())
    return token.job_id


def test_versions_named_at_once_get_numbers_of_their_own(database: Database, owner_id: str) -> None:
    other = make_owner(database, "bob")
    with ThreadPoolExecutor(8) as pool:
        owners = [owner_id, other] * 12
        made = list(pool.map(lambda owner: named(database, owner, hub="org/name", revision="main"), owners))
    for owner in (owner_id, other):
        assert sorted(row.version for row in made if row.owner_id == owner) == list(range(1, 13))
    with database.read() as session:
        assert [row.version for row in versions_of(session, owner_id, "churn")] == list(range(12, 0, -1))


def test_a_named_file_can_not_be_deleted(database: Database, owner_id: str) -> None:
    file_id = a_file(database, owner_id)
    row = named(database, owner_id, file_id=file_id)
    with database.write() as session, pytest.raises(FileNamed, match="churn"):
        delete_file(session, session.get_one(FileRow, file_id))
    with database.write() as session:
        delete_versions(session, [session.get_one(ModelVersionRow, row.id)])
        assert delete_file(session, session.get_one(FileRow, file_id)) == "files/f"
    with pytest.raises(SourceGone):
        named(database, owner_id, file_id=file_id)


def test_a_job_outlives_its_time_while_a_model_of_it_has_a_name(
    database: Database, owner_id: str, started: Start, tmp_path: Path
) -> None:
    kept, gone = (ended(database, started(), days_ago=31) for _ in range(2))
    store, settings = Store(tmp_path / "store"), DatabaseSettings(home=tmp_path)
    row = named(database, owner_id, job_id=kept, artifact="model.zip")
    forget_old(database, store, settings)
    with database.read() as session:
        assert session.get(JobRow, gone) is None
        content = content_of(session, session.get_one(ModelVersionRow, row.id))
    assert content is not None
    assert content.key == f"jobs/{kept}/a"
    with database.write() as session:
        delete_versions(session, [session.get_one(ModelVersionRow, row.id)])
    forget_old(database, store, settings)
    with database.read() as session:
        assert session.get(JobRow, kept) is None
    with pytest.raises(SourceGone):
        named(database, owner_id, job_id=kept, artifact="model.zip")


@pytest.mark.parametrize("in_bulk", [False, True])
def test_a_version_that_an_open_job_reads_can_not_be_deleted(database: Database, owner_id: str, in_bulk: bool) -> None:
    row = named(database, owner_id, file_id=a_file(database, owner_id))
    new = NewJob(owner_id, "check_worker", "cpu", {}, 1, model_version_ids=[row.id])
    with database.write() as session:
        job_id = submit_all(session, owner_id, [new])[0].job_id if in_bulk else submit(session, new).id
    with database.write() as session, pytest.raises(ModelInUse, match=job_id):
        delete_versions(session, [session.get_one(ModelVersionRow, row.id)])
    with database.write() as session:
        session.get_one(JobRow, job_id).state = "cancelled"
    with database.write() as session:
        delete_versions(session, [session.get_one(ModelVersionRow, row.id)])
    with database.write() as session, pytest.raises(UnknownReference):
        submit_all(session, owner_id, [new]) if in_bulk else submit(session, new)


def test_deleting_and_submitting_at_once_leave_no_job_without_its_model(database: Database, owner_id: str) -> None:
    file_id = a_file(database, owner_id)

    def delete(version_id: str) -> bool:
        with database.write() as session:
            row = session.get(ModelVersionRow, version_id)
            try:
                delete_versions(session, [row] if row is not None else [])
            except ModelInUse:
                return False
        return True

    def use(version_id: str) -> bool:
        try:
            with database.write() as session:
                submit(session, NewJob(owner_id, "check_worker", "cpu", {}, 1, model_version_ids=[version_id]))
        except UnknownReference:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        for _ in range(10):
            version_id = named(database, owner_id, file_id=file_id).id
            deleted, used = pool.submit(delete, version_id), pool.submit(use, version_id)
            assert deleted.result() != used.result()


def test_a_worker_finds_the_very_version(
    database: Database, owner_id: str, submitted: Callable[..., str], tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    for key in ("files/one", "files/two"):
        named(database, owner_id, file_id=a_file(database, owner_id, key))
    named(database, owner_id, hub="org/name", revision="main")
    job_id = submitted()
    strangers = submitted(owner_id=make_owner(database, "bob"))
    with database.read() as session:
        job, other = session.get_one(JobRow, job_id), session.get_one(JobRow, strangers)
        assert input_path(session, store, job, ModelInput(model="churn", version=1)) == store.path("files/one")
        for stranger, version in ((job, 3), (job, 9), (other, 1)):
            with pytest.raises(InvalidInput, match="no file of model churn"):
                input_path(session, store, stranger, ModelInput(model="churn", version=version))
        assert find_version(session, owner_id, "churn", 2) is not None
