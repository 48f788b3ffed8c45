"""Uploads over real connections to the real process: what is too large, what breaks off, and a disk that is full."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from db.store import Store
from tests.integration.api.test_process import Api
from tests.waiting import until
from turnout import Client

MIB = 1 << 20
LIMIT_BYTES = 32 * MIB
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


class UploadApi(Api):
    """An API with little room."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.environment |= {"TURNOUT_MAX_UPLOAD_BYTES": str(LIMIT_BYTES), "TURNOUT_MIN_FREE_BYTES": "0"}
        done = self.set_up()
        assert done.returncode == 0, done.stderr

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        process = self.start()
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {(self.home / 'api-key').read_text().strip()}"}

    def post(self, content: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}/v1/files"
        return httpx.post(url, content=content, headers={**self.headers, **FORM, **headers}, timeout=60)

    def connect(self, *headers: str) -> socket.socket:
        """A connection on which the head of an upload was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        named = [f"{name}: {value}" for name, value in {**self.headers, **FORM, "Host": "here"}.items()]
        connection.sendall("\r\n".join(["POST /v1/files HTTP/1.1", *named, *headers, "", ""]).encode())
        return connection

    @property
    def stored(self) -> list[str]:
        return [path.name for path in (self.home / "store").rglob("*") if path.is_file()]

    def require_untouched(self) -> None:
        """Nothing lies in the store, and the next upload goes well."""
        until(lambda: not self.stored, what="an empty store")
        with self.client() as client:
            assert list(client.files()) == []
            file = client.upload(__file__)
            assert len(self.stored) == 1
            client.delete_file(file)
        assert self.stored == []


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UploadApi]:
    api = UploadApi(tmp_path_factory.mktemp("api"))
    with api.running():
        yield api


def whole_answer(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection, as it does where it doesn't read the body."""
    with connection.makefile("rb") as answer:
        return answer.read()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_what_announces_that_it_is_too_large_is_refused_before_it_is_sent(api: UploadApi) -> None:
    with api.connect(f"Content-Length: {10**12}", "Expect: 100-continue") as connection:
        answer = whole_answer(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    api.require_untouched()


def test_what_does_not_announce_its_length_is_cut_off(api: UploadApi) -> None:
    def endless() -> Iterator[bytes]:
        yield HEAD
        for _ in range(10_000):
            sent.append(MIB)
            yield bytes(MIB)

    sent: list[int] = []
    # The connection may be closed while this side is still sending, and the answer with it.
    with suppress(httpx.NetworkError):
        assert code(api.post(endless())) == (413, "file_too_large")
    # The limit, what is read on so that the answer arrives, and what lies in the sockets.
    assert LIMIT_BYTES < sum(sent) < LIMIT_BYTES + 64 * MIB
    api.require_untouched()


@pytest.mark.parametrize("around", ["before", "after"])
def test_what_is_sent_around_the_file_is_limited_too(api: UploadApi, around: str) -> None:
    def endless() -> Iterator[bytes]:
        if around == "after":
            yield HEAD + b"x" + TAIL
        for _ in range(10_000):
            sent.append(MIB)
            yield b"\r\n" * (MIB // 2)

    sent: list[int] = []
    with suppress(httpx.NetworkError):
        assert code(api.post(endless())) in ((413, "file_too_large"), (400, "malformed_multipart"))
    assert sum(sent) < LIMIT_BYTES + 64 * MIB
    api.require_untouched()


def test_a_connection_that_breaks_in_the_middle_leaves_nothing(api: UploadApi) -> None:
    for headers in (["Content-Length: 30000000"], ["Transfer-Encoding: chunked"]):
        with api.connect(*headers) as connection:
            content = HEAD + bytes(5 * MIB)
            connection.sendall(content if "Length" in headers[0] else b"%x\r\n%b\r\n" % (len(content), content))
            until(lambda: api.stored, what="a part of the file")
        api.require_untouched()


def test_two_uploads_at_once_do_not_mix(api: UploadApi) -> None:
    contents = [bytes([number]) * (8 * MIB) for number in (1, 2)]
    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(lambda content: api.post(HEAD + content + TAIL), contents))
    for answer, content in zip(answers, contents, strict=True):
        url = f"http://127.0.0.1:{api.port}/v1/files/{answer.json()['id']}"
        assert httpx.get(f"{url}/content", headers=api.headers).content == content
        assert httpx.delete(url, headers=api.headers).status_code == 204
    api.require_untouched()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/", "file"),
        ("C:\\tables\\größe 1.csv", "größe 1.csv"),
        ("a\0b\x1b[31m.csv", "ab[31m.csv"),
        ("\u202ecsv.exe", "csv.exe"),
        ("x" * 300 + ".csv", "x" * 251 + ".csv"),
        ("", "file"),
    ],
)
def test_a_name_is_only_a_name(api: UploadApi, name: str, kept: str) -> None:
    answer = api.post(HEAD.replace(b'"x"', b'"' + name.encode().replace(b"\\", b"\\\\") + b'"') + TAIL)
    assert (answer.status_code, answer.json()["name"], answer.json()["size_bytes"]) == (201, kept, 0)
    assert re.fullmatch(r"[0-9a-f-]{36}", api.stored[0])
    url = f"http://127.0.0.1:{api.port}/v1/files/{answer.json()['id']}"
    assert httpx.get(f"{url}/content", headers=api.headers).content == b""
    httpx.delete(url, headers=api.headers)


PART = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="x"\r\n\r\nx\r\n'


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"", (400, "malformed_multipart")),
        (b"--b--\r\n", (422, "invalid_request")),
        (PART % b"data" + b"--b--\r\n", (422, "invalid_request")),
        (PART % b"file" * 5000 + b"--b--\r\n", (422, "invalid_request")),
        (PART % (b"f" * 10 * MIB) + b"--b--\r\n", (400, "malformed_multipart")),
        (HEAD[:-2] + b"X-Long: " + b"v" * 10 * MIB + b"\r\n\r\nx" + TAIL, (400, "malformed_multipart")),
        (HEAD[:-2] + b"X: y\r\n" * 100_000 + b"\r\nx" + TAIL, (400, "malformed_multipart")),
        (HEAD + b"x", (400, "malformed_multipart")),
    ],
    ids=[
        "nothing",
        "no part",
        "another field",
        "many files",
        "a huge field name",
        "a huge header",
        "many headers",
        "cut",
    ],
)
def test_what_is_no_upload_of_one_file_is_refused(api: UploadApi, content: bytes, answer: tuple[int, str]) -> None:
    assert code(api.post(content)) == answer
    api.require_untouched()


@pytest.mark.parametrize(
    "media_type", ["text/csv", "application/json", "multipart/form-data", "multipart/mixed; boundary=b"]
)
def test_another_content_type_is_refused(api: UploadApi, media_type: str) -> None:
    assert code(api.post(HEAD + b"x" + TAIL, **{"Content-Type": media_type})) == (415, "not_multipart")
    api.require_untouched()


class CrampedApi(UploadApi):
    """An API whose every file may have 4 MiB at most, by the kernel's word."""

    def start(self) -> subprocess.Popen[bytes]:
        process = super().start()
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB))
        return process


class SmallDiskApi(UploadApi):
    """An API whose store is a file system of 16 MiB, in a mount namespace of its own."""

    mount = 'mount -t tmpfs -o size=16m tmpfs "$TURNOUT_HOME/store" && exec "$0" -P -m api'

    def start(self) -> subprocess.Popen[bytes]:
        (self.home / "store").mkdir(exist_ok=True)
        with (self.home / "api.log").open("ab") as log:
            command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", self.mount, sys.executable]
            process = subprocess.Popen(command, env=self.environment, stderr=log)
        until(lambda: self._is_ready() or process.poll() is not None, 60, what="the API")
        assert process.poll() is None, (self.home / "api.log").read_text()
        self._inside = Path(f"/proc/{process.pid}/root{self.home}")
        return process

    @property
    def stored(self) -> list[str]:
        return [path.name for path in (self._inside / "store").rglob("*") if path.is_file()]


def can_mount() -> bool:
    """Whether this kernel lets a user make a file system of its own."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("kind", [SmallDiskApi if can_mount() else CrampedApi, CrampedApi])
def test_a_disk_that_fills_up_in_the_middle_is_said_so_and_does_no_harm(kind: type[UploadApi], tmp_path: Path) -> None:
    api = kind(tmp_path)
    with api.running():

        def pieces() -> Iterator[bytes]:
            yield HEAD
            yield from [bytes(MIB)] * 24
            yield TAIL

        answer = api.post(pieces())
        assert code(answer) == (507, "disk_full")
        assert str(tmp_path) not in answer.text
        api.require_untouched()


def test_too_little_room_is_seen_before_the_first_byte(tmp_path: Path) -> None:
    api = UploadApi(tmp_path)
    api.environment |= {"TURNOUT_MIN_FREE_BYTES": str(10**18)}
    with api.running():
        with api.connect("Content-Length: 1000", "Expect: 100-continue") as connection:
            answer = whole_answer(connection)
        assert answer.startswith(b"HTTP/1.1 507 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "disk_full"
        assert api.stored == []


def test_an_api_that_is_killed_in_the_middle_leaves_only_what_is_swept_later(tmp_path: Path) -> None:
    api = UploadApi(tmp_path)
    with api.running() as process, api.connect("Content-Length: 30000000") as connection:
        connection.sendall(HEAD + bytes(5 * MIB))
        until(lambda: api.stored, what="a part of the file")
        process.send_signal(signal.SIGKILL)
        process.wait()
    (part,) = api.stored
    assert part.endswith(".part")
    with api.running(), api.client() as client:
        assert list(client.files()) == []
        assert isinstance(client, Client)
    store = Store(tmp_path / "store")
    assert list(store.keys_older_than(24 * 3600)) == []
    (lying,) = (tmp_path / "store").rglob("*.part")
    os.utime(lying, (0, 0))
    assert [Path(key).name for key in store.keys_older_than(24 * 3600)] == [part]
