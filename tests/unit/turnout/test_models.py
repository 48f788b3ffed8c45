"""Named models through the SDK and on the command line."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import Result

from tests.unit.api.serving import HandWorker
from tests.unit.turnout.conftest import Server
from tests.unit.turnout.speaking import Connect, Portal, connecting
from turnout import Client, Conflict, HubModel, Invalid, NotFound, Unusable
from turnout.cli.endings import Exit

Turnout = Callable[..., Result]


@pytest.fixture(params=["blocking", "awaiting"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    if request.param == "blocking":
        yield connecting(None)
        return
    portal = Portal()
    yield connecting(portal)
    portal.close()


@pytest.fixture
def trained(client: Client, worker: HandWorker) -> str:
    job = client.submit("count_words", {"text": "x"})
    token = worker.start(job.id)
    worker.board(token, ("GBM_2", 0.9), ("GLM_1", 0.8), complete=True)
    worker.save(token, "model.zip", b"leader", "application/zip")
    worker.succeed(token, leader="GBM_2", kept_models={"GBM_2": "model.zip"})
    return job.id


def test_the_sdk(connect: Connect, server: Server, client: Client, trained: str, tmp_path: Path) -> None:
    # Numbers are never given twice, and the server is shared.
    name = f"sdk-{trained}"
    (tmp_path / "m.onnx").write_bytes(b"file")
    with connect(server.url, server.serving.keys.ann) as own:
        one = own.models.add(name, tmp_path / "m.onnx", description="d", tags={"a": "b"})
        assert (one.version, one.tags, one.media_type) == (1, {"a": "b"}, "application/octet-stream")
        artifact = client.job(trained).artifacts()[0]
        two = own.models.add(name, artifact)
        own.models.add(name, {"job": trained, "artifact": "GBM_2"})
        hub = own.models.add(name, HubModel("org/name"))
        assert [version.version for version in own.models.versions(name)] == [4, 3, 2, 1]
        assert hub == own.models.get(name) == next(iter(own.models.list(1)))
        assert hub.source == {"hub": "org/name", "revision": "main"}
        kept = own.models.download(name, tmp_path, version=2)
        assert (kept.name, kept.read_bytes()) == (f"{name}.zip", b"leader")
        with pytest.raises(Conflict, match="get it from there"):
            own.models.download(name, tmp_path)
        with pytest.raises(Invalid):
            own.models.add("a b", artifact)
        with pytest.raises(Unusable, match="A model is named from"):
            own.models.add(name, 7)  # type: ignore[arg-type]
        job = own.submit("count_words", {"text": "x", "dataset": two})
        assert job.record.spec["dataset"] == {"model": name, "version": 2}
        with pytest.raises(Conflict, match=job.id):
            own.models.delete(name)
        job.cancel()
        own.models.delete(name, 3)
        own.models.delete(name)
        with pytest.raises(NotFound):
            own.models.get(name)
        with pytest.raises(Invalid, match="only trainings on tables"):
            own.compare(client.job(trained), f"job:{trained}")


def test_the_command_line(turnout: Turnout, trained: str) -> None:
    Path("local.zip").write_bytes(b"local")
    assert turnout("models", "add", "cli", "local.zip", "--tag", "a=b").stdout == "cli/1\n"
    assert turnout("models", "add", "cli", f"job:{trained}", "--description", "best").stdout == "cli/2\n"
    assert turnout("models", "add", "cli", f"job:{trained}/GBM_2").stdout == "cli/3\n"
    assert turnout("models", "add", "cli-hub", "hub:org/name@main").stdout == "cli-hub/1\n"
    assert "hub:org/name@main" in turnout("models", "ls").stdout
    listed = turnout("models", "ls", "cli").stdout
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["cli/3", "cli/2", "cli/1"]
    assert f"job:{trained}/model.zip" in turnout("models", "show", "cli/2").stdout
    got = turnout("models", "get", "cli/2")
    sha256, place = got.stdout.split()
    assert (place, Path(place).read_bytes(), len(sha256)) == ("cli.zip", b"leader", 64)
    assert json.loads(turnout("models", "show", "cli", "--json").stdout)["version"] == 3
    for text in ("cli", "model:cli", "model:cli/3", "cli/3"):
        made = turnout("submit", "count_words", "--text", "x", "--dataset", text, "--json")
        spec = json.loads(made.stdout)["spec"]
        assert spec["dataset"] == {"model": "cli", "version": 3}
        turnout("cancel", json.loads(made.stdout)["id"])
    unknown = turnout("submit", "count_words", "--text", "x", "--dataset", "no-such-model")
    assert (unknown.exit_code, "no local file and no named model" in unknown.stderr) == (Exit.USAGE, True)
    assert turnout("models", "add", "cli", "no/such/file").exit_code == Exit.USAGE
    assert turnout("models", "show", "a b").exit_code == Exit.USAGE
    removed = turnout("models", "rm", "cli/1", "nothing", "cli", "cli-hub")
    assert (removed.exit_code, removed.stdout.count("deleted")) == (Exit.NOT_FOUND, 3)
    assert turnout("models", "show", "cli").exit_code == Exit.NOT_FOUND


def test_kept_models_are_marked(turnout: Turnout, trained: str) -> None:
    rows = [line.split() for line in turnout("leaderboard", trained).stdout.splitlines()]
    assert rows[0] == ["model_id", "kept", "auc", "logloss"]
    assert [row[:2] for row in rows[1:]] == [["GBM_2", "*"], ["GLM_1", "0.8000"]]


def test_a_leaderboard_as_a_file(turnout: Turnout, trained: str, client: Client) -> None:
    assert turnout("leaderboard", trained, "--output", "board.parquet").stdout == "board.parquet\n"
    table = pq.read_table("board.parquet")
    assert table.column_names == ["rank", "model_id", "algo", "auc", "logloss"]
    assert table.column("auc").to_pylist() == [0.9, 0.8]
    turnout("leaderboard", trained, "-o", "board.csv")
    assert Path("board.csv").read_text() == client.job(trained).leaderboard_csv()
    for name in ("board.xls", "board"):
        assert "neither .csv nor .parquet" in turnout("leaderboard", trained, "-o", name).stderr
    assert turnout("leaderboard", trained, "-o", "no/such/place.csv").exit_code == Exit.FAILED


def test_without_pyarrow_it_is_said(client: Client, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Unusable, match=r"turnout\[parquet\]"):
        client.job(trained).leaderboard().to_parquet("x.parquet")
