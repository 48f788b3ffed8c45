"""What a download asks for, step by step."""

import hashlib
from pathlib import Path

import httpx

from turnout.connection import Connection
from turnout.downloads import download
from turnout.server import Server
from turnout.steps import Answer, Read, Send, Walk, Work

CONTENT = b"abc"


def test_a_break_after_the_last_byte_is_no_reason_to_ask_again(tmp_path: Path) -> None:
    """A proxy may leave out the length, and then only a proper end tells that it is one."""
    server = Server(Connection("http://127.0.0.1:1", "key"))
    walk: Walk[Path] = Walk(download(server, "/file", tmp_path, "kept.bin"))
    assert isinstance(walk.step, Send)
    walk.go_on(Answer(200, {"etag": f'"{hashlib.sha256(CONTENT).hexdigest()}"'}))
    assert isinstance(walk.step, Read)
    walk.go_on(CONTENT)
    assert isinstance(walk.step, Work)
    walk.go_on(walk.step.call())
    walk.fail(httpx.RemoteProtocolError("peer closed connection"))
    assert (walk.step, walk.result) == (None, tmp_path / "kept.bin")
    assert walk.result.read_bytes() == CONTENT
