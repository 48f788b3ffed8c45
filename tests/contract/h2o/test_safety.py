"""Who may reach the embedded cluster, and what it does for those who may."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import psutil
import pytest

from tests.contract.h2o.keeper_process import KeeperProcess, listening

PATHS = ("/", "/3/Cloud", "/3/Ping", "/3/Logs/nodes/0/files/info", "/3/Shutdown", "/flow/index.html", "/no/such/path")


@pytest.fixture
def jvm(keeper: KeeperProcess) -> psutil.Process:
    (pid,) = keeper.pids()
    return psutil.Process(pid)


@pytest.fixture
def http(keeper: KeeperProcess) -> Iterator[httpx.Client]:
    """With the password, and no more care than somebody who stole it."""
    cluster = keeper.cluster()
    with httpx.Client(base_url=cluster["url"], auth=(cluster["user"], cluster["password"]), timeout=30) as opened:
        yield opened


class Web(HTTPServer):
    """A server with a table, and how often somebody connected to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Table)
        self.connections = 0

    def verify_request(self, *_whom: object) -> bool:
        self.connections += 1
        return True


class Table(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "8")
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(b"a,b\n1,2\n")

    def log_message(self, *_said: object) -> None:
        """Connections are counted instead."""


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_cluster_listens_on_loopback_only(keeper: KeeperProcess, jvm: psutil.Process) -> None:
    assert listening(jvm) == {("127.0.0.1", keeper.port), ("127.0.0.1", keeper.port + 1)}


@pytest.mark.parametrize("path", PATHS)
def test_nothing_answers_without_the_password(keeper: KeeperProcess, path: str) -> None:
    url = keeper.cluster()["url"] + path
    for method in ("GET", "POST", "DELETE"):
        assert httpx.request(method, url).status_code == 401
        assert httpx.request(method, url, auth=("turnout", "wrong")).status_code == 401


def test_the_password_is_only_its_owners_to_read(keeper: KeeperProcess, jvm: psutil.Process) -> None:
    for path in (keeper.cluster_file, keeper.home / "h2o" / "realm.properties"):
        assert path.stat().st_mode & 0o777 == 0o600
    assert keeper.cluster()["password"] not in " ".join(jvm.cmdline())


def test_no_path_can_be_imported(keeper: KeeperProcess, http: httpx.Client) -> None:
    link = keeper.home / "h2o" / "tmp" / "link.csv"
    link.unlink(missing_ok=True)
    link.symlink_to("/etc/passwd")
    paths = ["/etc/passwd", "/proc/self/environ", str(keeper.cluster_file), "relative.csv", "tmp/link.csv", "/etc/ssl"]
    for path in [*paths, str(link), f"file://{link}", "file:///etc/passwd", "nfs:///etc/passwd"]:
        assert_not_imported(http, path)


def test_no_address_can_be_imported(http: httpx.Client, web: Web) -> None:
    table = f"127.0.0.1:{web.server_port}/table.csv"
    for address in (table, table.replace("127.0.0.1", "localhost")):
        for scheme in (
            "http",
            "https",
            "hdfs",
            "webhdfs",
            "s3",
            "s3a",
            "s3n",
            "gs",
            "ftp",
            "har",
            "viewfs",
            "jar:http",
        ):
            assert_not_imported(http, f"{scheme}://{address}")
    assert web.connections == 0
    assert httpx.get(f"http://{table}").text == "a,b\n1,2\n"
    assert web.connections == 1


def assert_not_imported(http: httpx.Client, path: str) -> None:
    answer = http.get("/3/ImportFiles", params={"path": path})
    assert answer.status_code >= 400 or not answer.json()["files"], path
    keys = [frame["frame_id"]["name"] for frame in http.get("/3/Frames").json()["frames"]]
    assert not [key for key in keys if key.endswith(Path(path).name)]


def test_nothing_is_imported_from_databases(http: httpx.Client) -> None:
    database = {"connection_url": "jdbc:mysql://127.0.0.1:3306/x", "table": "t", "username": "u", "password": "p"}
    for _ in range(2):
        assert http.post("/99/ImportSQLTable", data=database).status_code >= 500
    jobs = http.get("/3/Jobs").json()["jobs"]
    assert not [job for job in jobs if "SQL" in job["description"]]


def test_no_source_code_is_taken_for_a_model(http: httpx.Client) -> None:
    pojo = b"public class Evil extends hex.genmodel.GenModel { static { System.exit(1); } }"
    http.post("/3/PostFile", params={"destination_frame": "Evil.java"}, files={"file": ("Evil.java", pojo)})
    begun = http.post("/3/ModelBuilders/generic", data={"model_id": "evil", "model_key": "Evil.java"})
    said = begun.text
    if begun.is_success:
        key = begun.json()["job"]["key"]["name"].replace("$", "%24")
        while (job := http.get(f"/3/Jobs/{key}").json()["jobs"][0])["status"] in ("CREATED", "RUNNING"):
            time.sleep(0.05)
        assert job["status"] == "FAILED"
        said = job["exception"]
    assert "POJO" in said
    http.delete("/3/DKV/Evil.java")


def test_the_environment_of_the_jvm_is_next_to_empty(jvm: psutil.Process) -> None:
    assert set(jvm.environ()) <= {
        "PATH",
        "HOME",
        "LANG",
        "LC_CTYPE",
        "JAVA_HOME",
        "CUDA_VISIBLE_DEVICES",
        "OMP_WAIT_POLICY",
        "PWD",
        "NLSPATH",
    }


def test_nobody_joins_as_a_client(jvm: psutil.Process) -> None:
    assert not {"-allow_clients", "-client"} & set(jvm.cmdline())


def test_flow_is_off(http: httpx.Client) -> None:
    assert http.get("/flow/index.html").status_code == 404
