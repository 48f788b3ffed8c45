import asyncio
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.lookers import Lookers, LookFailed
from tasks.tables.schema import TableColumn, TableSchema
from tests.unit.api.serving import Serving

SCHEMA = TableSchema(
    format="csv",
    rows=2,
    rows_are_exact=True,
    column_count=2,
    columns=[TableColumn(name=name, type="numeric", missing_share=0, examples=["1"]) for name in "ab"],
)
BROKEN = SCHEMA.model_copy(update={"problem": "It is broken."})


def upload(client: TestClient, name: str, media_type: str, content: bytes = b"a,b\n1,2\n") -> str:
    return str(client.post("/v1/files", files={"file": (name, content, media_type)}).json()["id"])


class Looks:
    """Stands for the processes that look; counts them."""

    def __init__(self, found: TableSchema | None) -> None:
        self.found, self.count = found, 0

    async def look_at(self, _lookers: Lookers, _path: Path) -> TableSchema:
        self.count += 1
        if self.found is None:
            raise LookFailed("died")
        return self.found


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    made = Looks(SCHEMA)
    monkeypatch.setattr(Lookers, "look_at", lambda lookers, path: made.look_at(lookers, path))
    return made


def test_a_table_is_looked_at_once_by_a_process_of_its_own(client: TestClient, serving: Serving) -> None:
    file_id = upload(client, "t.csv", "text/csv", b"x;day\n1;2026-01-02\n;2026-01-03\n")
    table = client.get(f"/v1/files/{file_id}").json()["table"]
    assert (table["separator"], table["rows"], table["problem"]) == (";", 2, None)
    assert [(column["name"], column["type"], column["missing_share"]) for column in table["columns"]] == [
        ("x", "numeric", 0.5),
        ("day", "time", 0.0),
    ]
    for key in list(serving.services.store.keys_older_than(-60)):
        serving.services.store.delete(key)
    assert client.get(f"/v1/files/{file_id}").json()["table"] == table


def test_what_is_wrong_is_kept_too(client: TestClient, looks: Looks) -> None:
    looks.found = BROKEN
    file_id = upload(client, "t.csv", "text/csv")
    found = [client.get(f"/v1/files/{file_id}").json()["table"]["problem"] for _ in range(2)]
    assert (found, looks.count) == (["It is broken."] * 2, 1)


@pytest.mark.parametrize(
    ("name", "media_type", "found", "shown"),
    [
        ("t.csv.gz", "application/gzip", BROKEN, True),
        ("t.parquet", "application/octet-stream", BROKEN, True),
        ("data", "text/csv", BROKEN, True),
        ("data", "application/octet-stream", SCHEMA, True),
        ("notes.txt", "text/plain", SCHEMA, True),
        ("notes.txt", "text/plain", BROKEN, False),
        ("notes.txt", "text/plain", SCHEMA.model_copy(update={"column_count": 1}), False),
    ],
)
def test_only_tables_are_shown(
    client: TestClient, looks: Looks, name: str, media_type: str, found: TableSchema, shown: bool
) -> None:
    looks.found = found
    file_id = upload(client, name, media_type)
    tables = [client.get(f"/v1/files/{file_id}").json()["table"] for _ in range(2)]
    assert [table is not None for table in tables] == [shown, shown]
    assert looks.count == 1


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("p.png", "image/png"), ("model.zip", "application/zip"), ("t.jsonl", "application/jsonl"), ("a.bin", "")],
)
def test_nobody_looks_at_other_files(client: TestClient, looks: Looks, name: str, media_type: str) -> None:
    file_id = upload(client, name, media_type)
    assert client.get(f"/v1/files/{file_id}").json()["table"] is None
    assert looks.count == 0


def test_a_look_that_failed_is_tried_again(client: TestClient, looks: Looks) -> None:
    looks.found = None
    file_id = upload(client, "t.csv", "text/csv")
    assert "could not look at the file" in client.get(f"/v1/files/{file_id}").json()["table"]["problem"]
    looks.found = SCHEMA
    assert client.get(f"/v1/files/{file_id}").json()["table"]["problem"] is None


def test_others_see_nothing(client: TestClient, serving: Serving, looks: Looks) -> None:
    file_id = upload(client, "t.csv", "text/csv")
    theirs = client.get(f"/v1/files/{file_id}", headers={"Authorization": f"Bearer {serving.keys.bob}"})
    assert (theirs.status_code, looks.count) == (404, 0)


async def ended(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Look by another program."""
    monkeypatch.setattr("api.lookers.COMMAND", ("-c", program))
    await Lookers().look_at(Path("any"))


@pytest.mark.parametrize(
    ("program", "cause"),
    [("raise MemoryError('much')", "MemoryError: much"), ("import time; time.sleep(60)", "took more")],
)
def test_a_process_that_fails_or_never_ends(monkeypatch: pytest.MonkeyPatch, program: str, cause: str) -> None:
    monkeypatch.setattr("api.lookers.SECONDS", 1.0)
    with pytest.raises(LookFailed, match=cause):
        asyncio.run(ended(monkeypatch, program))


def test_a_process_that_is_killed_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("api.lookers.SECONDS", 2.0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = tmp_path / "told"
    program = f"""
import pathlib, tempfile, time
made = pathlib.Path(tempfile.mkdtemp(), "unpacked")
made.write_text("much")
pathlib.Path({str(told)!r}).write_text(str(made))
time.sleep(60)
"""
    with pytest.raises(LookFailed, match="took more"):
        asyncio.run(ended(monkeypatch, program))
    made = Path(told.read_text())
    assert tmp_path in made.parents
    assert not made.exists()


def test_the_process_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNOUT_DATABASE_URL", "postgresql://secret")
    with pytest.raises(LookFailed, match="KeyError: 'TURNOUT_DATABASE_URL'"):
        asyncio.run(ended(monkeypatch, "import os; os.environ['TURNOUT_DATABASE_URL']"))
