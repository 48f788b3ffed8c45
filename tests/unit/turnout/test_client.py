"""What both clients promise, over both."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.api.serving import Background, HandWorker, make_serving
from tests.unit.turnout.conftest import Server
from tests.unit.turnout.speaking import Connect, Portal, connecting
from tests.waiting import until
from turnout import (
    Client,
    ClientClosed,
    Conflict,
    Invalid,
    JobCancelled,
    JobFailed,
    NotAllowed,
    NotFound,
    ServerUnreachable,
    Submission,
    Unusable,
    WaitedTooLong,
)

SPEC = {"text": "one two three"}


@pytest.fixture(params=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    portal = Portal() if request.param == "AsyncClient" else None
    yield connecting(portal)
    if portal is not None:
        portal.close()


@pytest.fixture
def client(connect: Connect, server: Server) -> Iterator[Client]:
    with connect(server.url, server.serving.keys.ann) as client:
        yield client


def test_a_job_from_submission_to_result(client: Client, worker: HandWorker) -> None:
    job = client.submit("count_words", SPEC, priority=8, tags={"who": "me"})
    assert (job.kind, job.state, job.record.priority, job.record.tags) == ("count_words", "queued", 8, {"who": "me"})
    token = worker.start(job.id)
    worker.report(token, 0.5, "half")
    assert job.refresh().progress.message == "half"
    waiting = Background(lambda: job.result(30))
    worker.succeed(token, words=3)
    assert waiting.result() == {"words": 3}
    assert job.record.finished_at is not None
    assert [attempt.outcome for attempt in job.attempts()] == ["succeeded"]
    assert next(client.jobs(tags={"who": "me"})).id == job.id
    assert client.job(job.id).record == job.refresh()


def test_a_failed_job_has_no_result(client: Client, worker: HandWorker) -> None:
    job = client.submit("count_words", SPEC)
    worker.fail(worker.start(job.id), "Column x is missing.")
    with pytest.raises(JobFailed, match=r"Column x is missing\.") as caught:
        job.result(30)
    assert (caught.value.job.reason, caught.value.code) == ("invalid_input", "invalid_input")
    assert not isinstance(caught.value, JobCancelled)


def test_a_cancelled_job_has_none_either(client: Client) -> None:
    job = client.cancel(client.submit("count_words", SPEC))
    with pytest.raises(JobCancelled, match="is cancelled") as caught:
        job.result(30)
    assert caught.value.code == "cancelled_by_user"


def test_a_job_is_retried_as_a_new_one(client: Client, worker: HandWorker) -> None:
    job = client.submit("count_words", SPEC, tags={"who": "me"})
    with pytest.raises(Conflict) as caught:
        job.retry()
    assert caught.value.state == "queued"
    worker.fail(worker.start(job.id), "No such luck.")
    again = client.retry(job, idempotency_key=job.id)
    assert (again.record.retry_of, again.record.tags, again.state) == (job.id, {"who": "me"}, "queued")
    assert job.retry(idempotency_key=job.id).id == again.id
    assert client.stop(again.id).state == "cancelled"


def test_many_jobs_at_once(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    first = client.submit("count_words", SPEC)
    wanted = [
        Submission("count_words", {**SPEC, "dataset": path}, priority=9),
        Submission("count_words", {**SPEC, "dataset": path}, after=[first]),
    ]
    accepted = client.submit_many(wanted)
    assert [(job.index, job.state) for job in accepted] == [(0, "queued"), (1, "waiting")]
    specs = [client.job(job.id).record.spec for job in accepted]
    assert specs[0]["dataset"] == specs[1]["dataset"], "a file that several jobs read was uploaded several times"
    assert client.submit_many([]) == []
    with pytest.raises(Invalid) as caught:
        client.submit_many([Submission("count_words", SPEC), Submission("count_words", {})])
    assert [error.field for error in caught.value.errors] == ["1.spec.text"]


def test_what_a_job_left_is_found_by_its_id(client: Client, worker: HandWorker) -> None:
    job = client.submit("count_words", SPEC)
    token = worker.start(job.id)
    worker.board(token, ("GBM_2", 0.9))
    worker.save(token, "words.txt", b"one")
    assert client.leaderboard(job.id).rows == job.leaderboard().rows
    assert client.leaderboard(job).rows[0].metrics == {"auc": 0.9, "logloss": pytest.approx(0.1)}
    assert job.leaderboard_csv().startswith("rank,model_id,algo,auc,logloss\n")
    assert [artifact.name for artifact in client.artifacts(job.id)] == ["words.txt"]
    assert [attempt.outcome for attempt in client.attempts(job.id)] == ["running"]


def test_how_the_server_is(client: Client) -> None:
    assert client.health().status == "alive"
    assert (client.ready().status, client.ready().database) == ("ready", "ok")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_an_id_that_would_lead_elsewhere(client: Client, name: str) -> None:
    for call in (client.job, client.cancel, client.file, client.kind, client.delete_file):
        with pytest.raises(Unusable, match="no id"):
            call(name)


def test_closing_twice_and_calling_after_it(connect: Connect, server: Server) -> None:
    client = connect(server.url, server.serving.keys.ann)
    assert client.kinds()
    client.close()
    client.close()
    with pytest.raises(ClientClosed):
        client.kinds()


def test_waiting_has_an_end(client: Client) -> None:
    with pytest.raises(WaitedTooLong, match="still queued"):
        client.submit("count_words", SPEC).wait(0.05)


def test_events_are_streamed_until_the_end(client: Client, worker: HandWorker) -> None:
    job = client.submit("count_words", SPEC)
    streaming = Background(lambda: list(job.stream()))
    token = worker.start(job.id)
    worker.log(token, "hello")
    worker.succeed(token)
    events = streaming.result()
    assert isinstance(events, list)
    assert [event.type for event in events] == ["state", "state", "log", "state", "final"]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert job.events(after=2) == events[2:]
    assert [event.seq for event in job.stream(after=3)] == [4, 5]
    assert list(job.stream(after=5)) == []


def test_inputs_are_uploaded_and_named(client: Client, worker: HandWorker, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    job = client.submit("count_words", {**SPEC, "dataset": path})
    file = client.file(job.record.spec["dataset"]["file"])
    assert (file.name, file.media_type, file.size_bytes) == ("table.csv", "text/csv", 8)
    with pytest.raises(Conflict, match="still reads"):
        client.delete_file(file)
    token = worker.start(job.id)
    worker.save(token, "words.txt", b"one")
    worker.succeed(token)
    [artifact] = job.artifacts()
    again = client.submit("count_words", {**SPEC, "further": [file, artifact]})
    assert again.record.spec["further"] == [{"file": file.id}, {"job": job.id, "artifact": "words.txt"}]
    again.cancel()
    client.delete_file(file)
    assert file.id not in [known.id for known in client.files()]


def test_downloads_are_whole_or_not_there(client: Client, worker: HandWorker, tmp_path: Path) -> None:
    job = client.submit("count_words", SPEC)
    token = worker.start(job.id)
    worker.save(token, "model.bin", b"x" * 3_000_000)
    assert job.download("model.bin", tmp_path).read_bytes() == b"x" * 3_000_000
    with pytest.raises(NotFound):
        job.download("other.bin", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.bin"]


def test_what_is_wrong_is_typed(client: Client, connect: Connect, server: Server) -> None:
    with pytest.raises(Invalid) as caught:
        client.submit("count_words", {"text": "x", "txt": 1})
    assert [(error.field, error.code) for error in caught.value.errors] == [("spec.txt", "unknown_field")]
    with pytest.raises(NotFound):
        client.job("nobody")
    job = client.submit("count_words", SPEC)
    assert job.stop().reason == "stopped_by_user"
    with pytest.raises(Conflict, match="cancelled already") as refused:
        job.cancel()
    assert (refused.value.code, refused.value.state) == ("job_is_final", "cancelled")
    with connect(server.url, "wrong") as stranger, pytest.raises(NotAllowed, match="not known"):
        stranger.kinds()


def test_a_server_that_is_not_there(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turnout.transport.PATIENCE_SECONDS", 0.0)
    with connect("http://127.0.0.1:9", "key") as client, pytest.raises(ServerUnreachable, match="turnout up"):
        client.upload(Path(__file__))


@pytest.mark.parametrize("url", ["http://[::1", "127.0.0.1:8400", "ftp://host", "http://", "http://host:99999"])
def test_an_address_that_is_none(connect: Connect, url: str) -> None:
    with pytest.raises(Unusable, match="no address"):
        connect(url, "key")


def test_what_http_or_json_cannot_carry(client: Client, connect: Connect, server: Server) -> None:
    with pytest.raises(Unusable, match="API key"):
        connect(server.url, "schlüssel")
    with pytest.raises(Unusable, match="idempotency key"):
        client.submit("count_words", SPEC, idempotency_key="einmalig ü")
    for odd in (float("nan"), {1}):
        with pytest.raises(Unusable, match="JSON"):
            client.submit("count_words", {"text": odd})


@pytest.mark.parametrize(
    ("name", "kept_as"),
    [
        ("../../up.csv", "up.csv"),
        ("c:\\x\\win.csv", "win.csv"),
        ("ü" * 200 + ".csv", "ü" * 108 + ".csv"),
        ("a b%.csv", "a b%.csv"),
    ],
)
def test_a_download_stays_in_its_directory(client: Client, tmp_path: Path, name: str, kept_as: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a")
    (tmp_path / "kept").mkdir()
    file = replace(client.upload(path), name=name)
    assert client.download_file(file, tmp_path / "kept") == tmp_path / "kept" / kept_as
    for unusable in ("..", ".", "a/..", ""):
        with pytest.raises(Unusable, match="no name"):
            client.download_file(replace(file, name=unusable), tmp_path / "kept")
    assert [kept.name for kept in (tmp_path / "kept").iterdir()] == [kept_as]


def test_an_artifact_keeps_its_name(client: Client, worker: HandWorker, tmp_path: Path) -> None:
    job = client.submit("count_words", SPEC)
    worker.save(worker.start(job.id), "plot of größe.png", b"x")
    assert job.download("plot of größe.png", tmp_path) == tmp_path / "plot of größe.png"


def test_a_retried_submission_is_one_job(client: Client) -> None:
    first = client.submit("count_words", SPEC, idempotency_key="sdk")
    assert client.submit("count_words", SPEC, idempotency_key="sdk").id == first.id
    # A variable that was not set must not make a second job.
    with pytest.raises(Unusable, match="key is empty"):
        client.submit("count_words", SPEC, idempotency_key="")
    with pytest.raises(Unusable, match="key is empty"):
        client.retry(first, idempotency_key="")


def test_a_file_whose_name_is_no_text_can_be_uploaded(client: Client, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.csv")
    path.write_text("a\n1\n")
    assert client.upload(path).name == "caf?.csv"


def test_the_catalog(client: Client, server: Server) -> None:
    # Only a worker that gave a sign of life a moment ago is listed.
    assert server.serving.worker
    assert {"count_words", "add_numbers"} <= {kind.name for kind in client.kinds()}
    kind = client.kind("count_words")
    assert (kind.queues, kind.default_queue, kind.time_limit_seconds) == (("cpu", "gpu"), "cpu", 300)
    assert {queue.name for queue in client.queues()} == {"cpu", "gpu", "h2o", "remote"}
    assert "cpu@here" in [found.name for found in client.workers()]


def test_a_closed_client_ends_its_streams(connect: Connect, server: Server) -> None:
    client = connect(server.url, server.serving.keys.ann)
    job = client.submit("count_words", SPEC)
    seen: list[int] = []

    def follow() -> object:
        try:
            return [seen.append(event.seq) for event in job.stream()]
        except ClientClosed as exc:
            return exc

    streaming = Background(follow)
    until(lambda: seen)
    client.close()
    assert isinstance(streaming.result(), ClientClosed)
    with pytest.raises(ClientClosed):
        job.refresh()


def test_streams_and_waits_outlast_a_restart(connect: Connect, tmp_path: Path) -> None:
    first = Server(make_serving(tmp_path))
    client = connect(first.url, first.serving.keys.ann)
    job = client.submit("count_words", SPEC)
    seen: list[int] = []
    streaming = Background(lambda: [seen.append(event.seq) for event in job.stream()])
    waiting = Background(lambda: job.result(60))
    until(lambda: seen)
    first.close()
    second = Server(make_serving(tmp_path), first.port)
    worker = second.serving.worker
    worker.succeed(worker.start(job.id), words=3)
    streaming.result()
    assert seen == [1, 2, 3, 4]
    assert waiting.result() == {"words": 3}
    client.close()
    second.close()
