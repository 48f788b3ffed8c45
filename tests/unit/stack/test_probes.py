"""Probes reach this machine, whatever the environment says about proxies."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from turnout.stack.probes import answers, has_worker

WORKERS = {"workers": [{"queue": "h2o", "pid": 41}, {"queue": "cpu", "pid": 42}]}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(WORKERS).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_no_proxy_stands_between(url: str) -> None:
    assert answers(url)


def test_a_worker_is_known_by_its_process(url: str) -> None:
    assert has_worker(url, "key", "h2o", 41)
    assert not has_worker(url, "key", "h2o", 42)
    assert not has_worker(url, "key", "h2o", 43)
