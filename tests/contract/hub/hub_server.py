"""Speaks as much of the hub's API as listing and downloading a model takes, from files in memory."""

import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMITS = ["a" * 40, "b" * 40]


class HubServer(ThreadingHTTPServer):
    """``commits`` has each commit's files; ``main`` is where the branch is; ``status`` answers all with an error;
    ``wrong`` is sent for files in place of their content; ``gate`` holds contents back until it is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.commits: dict[str, dict[str, bytes]] = {}
        self.main = COMMITS[0]
        self.status: int | None = None
        self.wrong: dict[str, bytes] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.asked: Counter[str] = Counter()
        self.tokens: set[str | None] = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """A client that was killed has hung up."""


class _Handler(BaseHTTPRequestHandler):
    server: HubServer

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if not path.startswith(("/api/models/", "/org/")):
            self.send_error(404)
            return
        self.server.tokens.add(self.headers.get("Authorization"))
        if self.server.status is not None:
            self.send_error(self.server.status)
        elif path.startswith("/api/models/org/tiny/revision/"):
            self._describe(path.rsplit("/", 1)[-1])
        elif path.startswith("/api/models/org/tiny/tree/"):
            self._list(path.rsplit("/", 1)[-1])
        elif path.startswith("/org/tiny/resolve/"):
            commit, _slash, name = path.removeprefix("/org/tiny/resolve/").partition("/")
            self._file(commit, name, body=body)
        else:
            self._refuse("RepoNotFound")

    def _describe(self, revision: str) -> None:
        commit = self.server.main if revision == "main" else revision
        if commit not in self.server.commits:
            self._refuse("RevisionNotFound")
            return
        self.server.asked[f"list {revision}"] += 1
        siblings = [_facts(name, content) for name, content in self.server.commits[commit].items()]
        self._send(json.dumps({"id": "org/tiny", "sha": commit, "siblings": siblings}).encode())

    def _list(self, commit: str) -> None:
        self._send(
            json.dumps([_entry(name, content) for name, content in self.server.commits[commit].items()]).encode()
        )

    def _file(self, commit: str, name: str, *, body: bool) -> None:
        content = self.server.wrong.get(name, self.server.commits[commit][name])
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit)
        self.end_headers()
        if body:
            self.server.asked[name] += 1
            self.server.gate.wait()
            self.wfile.write(content)

    def _refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _facts(name: str, content: bytes) -> dict[str, Any]:
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    facts: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git}
    if name.endswith((".safetensors", ".bin", ".onnx")):
        sha256 = hashlib.sha256(content).hexdigest()
        facts["lfs"] = {"size": len(content), "sha256": sha256, "pointerSize": 130}
    return facts


def _entry(name: str, content: bytes) -> dict[str, Any]:
    facts = _facts(name, content)
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": facts["blobId"]}
    if "lfs" in facts:
        entry["lfs"] = {**facts["lfs"], "oid": facts["lfs"]["sha256"]}
    return entry
