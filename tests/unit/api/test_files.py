import errno
import http.client
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from db.store import Store, Upload
from tests.unit.api.serving import HandWorker, Serving, make_serving
from tests.unit.turnout.conftest import Server
from tests.waiting import until


def upload(client: TestClient, content: bytes = b"a,b\n1,2\n", name: str = "t.csv", media_type: str = "text/csv"):  # type: ignore[no-untyped-def]
    return client.post("/v1/files", files={"file": (name, content, media_type)})


def stored(home: Path) -> list[str]:
    return [path.name for path in (home / "store").rglob("*") if path.is_file()]


def test_a_file_goes_in_and_comes_out(client: TestClient) -> None:
    content = bytes(range(256)) * 20_000
    answer = upload(client, content, "data.bin", "application/octet-stream")
    file = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/files/{file['id']}")
    assert (file["name"], file["size_bytes"]) == ("data.bin", len(content))
    assert client.get(f"/v1/files/{file['id']}").json() == {**file, "table": None}
    assert client.get("/v1/files").json() == {"files": [file], "next_cursor": None}
    back = client.get(f"/v1/files/{file['id']}/content", headers={"Range": "bytes=-3"})
    assert (back.status_code, back.content) == (206, content[-3:])
    assert client.delete(f"/v1/files/{file['id']}").status_code == 204
    assert client.get(f"/v1/files/{file['id']}").status_code == 404


@pytest.mark.parametrize(
    ("sent", "media_type", "name", "known_as"),
    [
        ("C:\\data\\t.csv", "text/csv", "t.csv", "text/csv"),
        ("..", "text/csv", "file", "text/csv"),
        ("a/.", "text/csv", "file", "text/csv"),
        ("t.csv", "text/" + "x" * 200, "t.csv", "application/octet-stream"),
        ("../../etc/passwd", "", "passwd", "application/octet-stream"),
        ("bild.png", "application/octet-stream", "bild.png", "image/png"),
        ("größe 1.txt", "text/plain; charset=utf-8", "größe 1.txt", "text/plain"),
        ("x.html", "text/html\r\nX: y", "x.html", "text/html"),
    ],
)
def test_names_and_types_are_cleaned(
    shared_client: TestClient, sent: str, media_type: str, name: str, known_as: str
) -> None:
    body = (
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="{sent}"\r\n'
        f"Content-Type: {media_type}\r\n\r\nx\r\n--b--\r\n"
    ).encode()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    file = shared_client.post("/v1/files", content=body, headers=headers).json()
    assert (file["name"], file["media_type"]) == (name, known_as)


def test_pages(client: TestClient) -> None:
    ids = [upload(client).json()["id"] for _ in range(3)]
    page = client.get("/v1/files?limit=2").json()
    assert [file["id"] for file in page["files"]] == [ids[2], ids[1]]
    rest = client.get(f"/v1/files?cursor={page['next_cursor']}").json()
    assert ([file["id"] for file in rest["files"]], rest["next_cursor"]) == ([ids[0]], None)


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"a,b", "text/csv", 415, "not_multipart"),
        (b"--b\r\n", "multipart/form-data", 415, "not_multipart"),
        (b"nonsense", "multipart/form-data; boundary=b", 400, "malformed_multipart"),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 422, "invalid_request"),
        (
            b'--b\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n\r\nx\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            422,
            "invalid_request",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nx',
            "multipart/form-data; boundary=b",
            400,
            "malformed_multipart",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nx\r\n'
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="y"\r\n\r\ny\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            422,
            "invalid_request",
        ),
    ],
)
def test_bodies_that_are_no_upload_leave_nothing(
    client: TestClient, tmp_path: Path, content: bytes, content_type: str, status: int, code: str
) -> None:
    answer = client.post("/v1/files", content=content, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert stored(tmp_path) == []


def limited(tmp_path: Path, **settings: object) -> tuple[Serving, TestClient]:
    serving = make_serving(tmp_path, **settings)
    headers = {"Authorization": f"Bearer {serving.keys.ann}"}
    return serving, TestClient(serving.make_app(), headers=headers, raise_server_exceptions=False)


def test_too_large_whether_announced_or_not(tmp_path: Path) -> None:
    serving, client = limited(tmp_path, max_upload_bytes=1000)
    assert upload(client, b"x" * 1000).status_code == 201
    announced = upload(client, b"x" * 100_000)
    slightly = upload(client, b"x" * 1001)
    for answer in (announced, slightly):
        assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    assert len(stored(tmp_path)) == 1
    serving.services.database.dispose()


def test_a_nearly_full_disk_is_left_alone(tmp_path: Path) -> None:
    serving, client = limited(tmp_path, min_free_bytes=10**18)
    answer = upload(client)
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert stored(tmp_path) == []
    serving.services.database.dispose()


def test_a_disk_that_fills_up(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_upload: Upload, _chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/secret")

    monkeypatch.setattr(Upload, "write", full)
    answer = upload(client)
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert "secret" not in answer.text
    assert stored(tmp_path) == []


def test_a_connection_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    server = Server(make_serving(tmp_path))
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("POST", "/v1/files")
    for name, value in {
        "Authorization": f"Bearer {server.serving.keys.ann}",
        "Content-Type": "multipart/form-data; boundary=b",
        "Content-Length": "1000000000",
    }.items():
        connection.putheader(name, value)
    connection.endheaders(b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n')
    connection.send(b"x" * 5_000_000)
    until(lambda: stored(tmp_path))
    connection.close()
    until(lambda: not stored(tmp_path))
    server.close()


def test_a_file_in_use_stays(client: TestClient, worker: HandWorker) -> None:
    file_id = upload(client).json()["id"]
    spec = {"text": "x", "further": [{"file": file_id}]}
    job = client.post("/v1/jobs", json={"kind": "count_words", "spec": spec}).json()
    refused = client.delete(f"/v1/files/{file_id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "file_in_use")
    assert job["id"] in refused.json()["detail"]
    worker.succeed(worker.start(job["id"]))
    assert client.delete(f"/v1/files/{file_id}").status_code == 204


def test_a_retried_submission_is_known_after_its_file_is_gone(client: TestClient, worker: HandWorker) -> None:
    file_id = upload(client).json()["id"]
    body = {"kind": "count_words", "spec": {"text": "x", "dataset": {"file": file_id}}}
    job = client.post("/v1/jobs", json=body, headers={"Idempotency-Key": "f"}).json()
    worker.succeed(worker.start(job["id"]))
    client.delete(f"/v1/files/{file_id}")
    assert client.post("/v1/jobs", json=body, headers={"Idempotency-Key": "f"}).json()["id"] == job["id"]


def test_a_retried_bulk_is_known_after_its_file_is_gone(client: TestClient, worker: HandWorker) -> None:
    file_id = upload(client).json()["id"]
    reads = {"kind": "count_words", "spec": {"text": "x", "dataset": {"file": file_id}}}
    body = {"jobs": [reads, {"kind": "count_words", "spec": {"text": "x"}}]}
    first = client.post("/v1/jobs/bulk", json=body, headers={"Idempotency-Key": "f"}).json()
    worker.succeed(worker.start(first["jobs"][0]["id"]))
    client.delete(f"/v1/files/{file_id}")
    again = client.post("/v1/jobs/bulk", json=body, headers={"Idempotency-Key": "f"}).json()
    assert [job["id"] for job in again["jobs"]] == [job["id"] for job in first["jobs"]]
    longer = {"jobs": [*body["jobs"], reads]}
    refused = client.post("/v1/jobs/bulk", json=longer, headers={"Idempotency-Key": "f"})
    assert [error["field"] for error in refused.json()["errors"]] == ["2.spec.dataset"]


def test_inputs_must_be_there_and_ones_own(client: TestClient, serving: Serving, worker: HandWorker) -> None:
    file_id = upload(client).json()["id"]
    earlier = client.post("/v1/jobs", json={"kind": "count_words", "spec": {"text": "x"}}).json()["id"]

    def errors(dataset: object, key: str = serving.keys.ann, **more: object) -> list[tuple[str, str]]:
        body = {"kind": "count_words", "spec": {"text": "x", "dataset": dataset}, **more}
        answer = client.post("/v1/jobs", json=body, headers={"Authorization": f"Bearer {key}"})
        return [(error["field"], error["message"]) for error in answer.json().get("errors", ())]

    output = {"job": earlier, "artifact": "out.txt"}
    assert errors({"file": "none"}) == [("spec.dataset", "There is no file 'none'.")]
    assert errors({"file": file_id}) == []
    assert errors({"file": file_id}, serving.keys.bob) == [("spec.dataset", f"There is no file '{file_id}'.")]
    assert errors({"job": "none", "artifact": "x"}) == [("spec.dataset", "There is no job 'none'.")]
    assert "name the job in 'after'" in errors(output)[0][1]
    assert errors(output, after=[earlier]) == []
    token = worker.start(earlier)
    worker.save(token, "out.txt", b"x")
    assert errors(output) == []
    assert errors(output, serving.keys.bob) == [("spec.dataset", f"There is no job '{earlier}'.")]
    worker.succeed(token)
    assert "has no artifact 'other'" in errors({"job": earlier, "artifact": "other"})[0][1]


def test_content_that_is_gone_from_the_store_is_said_so(client: TestClient, serving: Serving) -> None:
    file_id = upload(client).json()["id"]
    store: Store = serving.services.store
    for key in list(store.keys_older_than(-60)):
        store.delete(key)
    answer = client.get(f"/v1/files/{file_id}/content")
    assert (answer.status_code, answer.json()["code"]) == (500, "storage_error")
