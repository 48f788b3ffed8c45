"""Each client against a server that loses, delays, cuts and spoils its answers, over real sockets."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.api.serving import Background, HandWorker
from tests.unit.turnout.conftest import Server
from tests.unit.turnout.misbehaving import Break, Cut, Fault, Lose, Misbehaving, Pass, Say, Spoil
from tests.unit.turnout.speaking import Connect, Portal, connecting
from tests.waiting import until
from turnout import (
    BrokenDownload,
    Client,
    Conflict,
    Invalid,
    NotFound,
    Refused,
    ServerTrouble,
    ServerUnreachable,
    StorageFull,
    Submission,
    TooLarge,
    WaitedTooLong,
)

SPEC = {"text": "one two three"}
BUSY = Say(503, {"Retry-After": "0"})
PROBLEM = b'{"code": "the_code", "detail": "The sentence."}'


@pytest.fixture(params=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    portal = Portal() if request.param == "AsyncClient" else None
    yield connecting(portal)
    if portal is not None:
        portal.close()


@pytest.fixture
def line(server: Server) -> Iterator[Misbehaving]:
    line = Misbehaving(server.port)
    yield line
    line.close()


@pytest.fixture
def client(connect: Connect, line: Misbehaving, server: Server) -> Iterator[Client]:
    with connect(line.url, server.serving.keys.ann) as client:
        yield client


def ids(client: Client, tag: str) -> list[str]:
    return [job.id for job in client.jobs(tags={"test": tag})]


@pytest.mark.parametrize("fault", [Lose(), Break(10), BUSY, Say(502), Say(504), Say(429)])
def test_a_submission_whose_answer_is_lost_makes_one_job(client: Client, line: Misbehaving, fault: Fault) -> None:
    tag = uuid.uuid4().hex
    line.faults = [fault, fault]
    job = client.submit("count_words", SPEC, tags={"test": tag})
    keys = [seen.headers["Idempotency-Key"] for seen in line.seen]
    assert (len(keys), len(set(keys))) == (3, 1)
    assert ids(client, tag) == [job.id]


def test_so_does_a_lost_bulk_and_a_lost_retry(client: Client, line: Misbehaving, worker: HandWorker) -> None:
    tag = uuid.uuid4().hex
    line.faults = [Lose()]
    accepted = client.submit_many([Submission("count_words", SPEC, tags={"test": tag})] * 3)
    assert sorted(ids(client, tag)) == sorted(job.id for job in accepted)
    worker.fail(worker.start(accepted[0].id), "No.")
    line.faults = [Lose()]
    again = client.retry(accepted[0].id)
    assert set(ids(client, tag)) == {again.id, *(job.id for job in accepted)}


@pytest.mark.parametrize("how", ["cancel", "stop"])
def test_ending_a_job_is_no_conflict_with_itself(client: Client, line: Misbehaving, how: str) -> None:
    job = client.submit("count_words", SPEC)
    line.faults = [Lose()]
    assert getattr(job, how)().state == "cancelled"
    assert job.state == "cancelled"
    asked = len(line.seen)
    with pytest.raises(Conflict) as caught:
        getattr(job, how)()
    assert (caught.value.state, len(line.seen) - asked) == ("cancelled", 1)


@pytest.mark.parametrize("how", ["cancel", "stop", "retry"])
def test_a_conflict_without_the_jobs_state_is_looked_into(client: Client, line: Misbehaving, how: str) -> None:
    job = client.submit("count_words", SPEC)
    line.faults = [Say(409, body=PROBLEM)]
    with pytest.raises(Conflict, match=r"The sentence\.") as caught:
        getattr(job, how)()
    assert caught.value.state == "queued"


def test_a_cancel_that_came_too_late_is_one(client: Client, line: Misbehaving, worker: HandWorker) -> None:
    job = client.submit("count_words", SPEC)
    worker.fail(worker.start(job.id), "No.")
    line.faults = [Lose()]
    with pytest.raises(Conflict) as caught:
        job.cancel()
    assert caught.value.state == "failed"


def test_deleting_a_file_is_not_missing_it(client: Client, line: Misbehaving, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a")
    file = client.upload(tmp_path / "a.csv")
    line.faults = [Lose()]
    client.delete_file(file)
    with pytest.raises(NotFound):
        client.delete_file(file)


@pytest.mark.parametrize("fault", [Break(100_000), Lose(), BUSY])
def test_an_upload_is_sent_again_from_its_beginning(
    client: Client, line: Misbehaving, tmp_path: Path, fault: Break | Lose | Say
) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(range(256)) * 20_000)
    line.faults = [fault]
    file = client.upload(path)
    assert client.download_file(file, tmp_path / "copy").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("status", "error"),
    [(413, TooLarge), (507, StorageFull), (422, Invalid), (500, ServerTrouble), (403, Refused), (409, Conflict)],
)
def test_a_refusal_is_not_asked_for_twice(
    client: Client, line: Misbehaving, tmp_path: Path, status: int, error: type[Refused]
) -> None:
    (tmp_path / "a.csv").write_text("a")
    line.faults = [Say(status, body=PROBLEM)]
    with pytest.raises(error, match=r"The sentence\.") as caught:
        client.upload(tmp_path / "a.csv")
    assert (caught.value.code, caught.value.status, len(line.seen)) == ("the_code", status, 1)


def test_who_asks_for_too_much_patience_gets_none(client: Client, line: Misbehaving) -> None:
    line.faults = [Say(503, {"Retry-After": "3600"}, PROBLEM)]
    with pytest.raises(ServerTrouble, match=r"The sentence\."):
        client.kinds()
    assert len(line.seen) == 1


def test_what_must_not_be_repeated_is_not(client: Client, line: Misbehaving) -> None:
    for call in (client.health, client.ready):
        line.faults = [Say(503, body=PROBLEM)]
        with pytest.raises(ServerTrouble):
            call()
    assert len(line.seen) == 2


@pytest.mark.parametrize("after_bytes", [0, 30, 300, 600])
def test_a_stream_that_is_cut_misses_nothing_and_repeats_nothing(
    client: Client, line: Misbehaving, worker: HandWorker, after_bytes: int
) -> None:
    job = client.submit("count_words", SPEC)
    token = worker.start(job.id)
    for number in range(3):
        worker.log(token, f"line {number} \u2028 größe")
    line.faults = [Cut(after_bytes), Lose(), BUSY, Cut(after_bytes)]
    streaming = Background(lambda: list(job.stream()))
    until(lambda: len(line.seen) > 5)
    worker.log(token, "last")
    worker.succeed(token)
    events = streaming.result()
    assert isinstance(events, list)
    assert [event.seq for event in events] == list(range(1, 9))
    assert events == job.events()


def test_waiting_outlasts_what_happens_to_the_line(client: Client, line: Misbehaving, worker: HandWorker) -> None:
    job = client.submit("count_words", SPEC)
    line.faults = [Break(), BUSY, Say(502), Cut(10)]
    waiting = Background(lambda: job.result())
    until(lambda: len(line.seen) == 5)
    worker.succeed(worker.start(job.id), words=3)
    assert waiting.result() == {"words": 3}


def test_waiting_ends_in_time_while_the_server_is_away(client: Client, line: Misbehaving) -> None:
    job = client.submit("count_words", SPEC)
    line.faults = [Pass(), *[Break()] * 1000]
    with pytest.raises(WaitedTooLong, match="still queued") as caught:
        job.wait(1.5)
    assert isinstance(caught.value.__cause__, ServerUnreachable)
    with pytest.raises(ServerUnreachable):
        job.wait(0)


CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def artifact(client: Client, worker: HandWorker) -> str:
    job = client.submit("count_words", SPEC)
    worker.save(worker.start(job.id), "model.bin", CONTENT)
    return job.id


def test_a_download_goes_on_where_it_broke(client: Client, line: Misbehaving, artifact: str, tmp_path: Path) -> None:
    job = client.job(artifact)
    line.seen.clear()
    line.faults = [Cut(300_000), BUSY, Cut(0), Cut(500_000), Lose()]
    assert job.download("model.bin", tmp_path).read_bytes() == CONTENT
    assert [seen.headers.get("Range", "") for seen in line.seen][-1] == "bytes=800000-"
    assert [path.name for path in tmp_path.iterdir()] == ["model.bin"]


@pytest.mark.parametrize("fault", [Say(200, {"ETag": '"other"'}, CONTENT), Spoil(), Say(200, {}, CONTENT[:1000])])
def test_a_damaged_download_leaves_nothing(
    client: Client, line: Misbehaving, artifact: str, tmp_path: Path, fault: Say | Spoil
) -> None:
    job = client.job(artifact)
    (tmp_path / "model.bin").write_text("the old one")
    line.faults = [fault]
    with pytest.raises(BrokenDownload, match="nothing was kept"):
        job.download("model.bin", tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the old one"]


def test_a_download_whose_rest_is_not_to_be_had_begins_anew(
    client: Client, line: Misbehaving, artifact: str, tmp_path: Path
) -> None:
    job = client.job(artifact)
    etag = next(found.sha256 for found in job.artifacts())
    line.faults = [Cut(300_000), Say(200, {"ETag": f'W/"{etag}"'}, CONTENT)]
    assert job.download("model.bin", tmp_path / "kept.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "fault",
    [Say(200, {"Content-Type": "text/html"}, b"<html>"), Say(200, {}, b"[]"), Say(200, {}, b'{"jobs": 1}')],
)
def test_another_server_is_told_from_ours(client: Client, line: Misbehaving, fault: Say, tmp_path: Path) -> None:
    job = client.submit("count_words", SPEC)
    calls = [
        client.kinds, client.ready, job.refresh, job.events, job.leaderboard, job.cancel,
        lambda: next(client.jobs()), lambda: next(iter(job.stream())), lambda: client.submit("count_words", SPEC),
        lambda: client.upload(Path(__file__)),
    ]  # fmt: skip
    for call in calls:
        line.faults = [fault]
        with pytest.raises(ServerTrouble, match="TURNOUT_URL") as caught:
            call()
        assert caught.value.code == "not_turnout"


def test_a_server_that_moved_is_named(client: Client, line: Misbehaving) -> None:
    line.faults = [Say(308, {"Location": "https://turnout.example/v1/kinds"})]
    with pytest.raises(Invalid, match=r"https://turnout\.example"):
        client.kinds()
    line.faults = [Say(404, body=b"<html>not here</html>")]
    with pytest.raises(NotFound, match="no Turnout server"):
        client.kinds()
