"""Stands for the connection to a cluster: answers by path, and keeps what was asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from workers.runtimes.h2o_automl.client import H2OClient

Answer = Callable[[], Any]


class FakeClient:
    """``answers`` are functions by method and path; an unknown path fails the test."""

    cluster_id = "cluster-1"
    outside_bytes: int | None = None

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.read_seconds: dict[str, float] = {}

    def _answer(self, call: str, read_seconds: float = 0) -> Any:
        self.asked.append(call)
        self.read_seconds[call] = read_seconds
        return self.answers[call]()

    def get(self, path: str, **_arguments: object) -> Any:
        return self._answer(f"GET {path}")

    def post(self, path: str, _data: object = None, *, read_seconds: float = 0) -> Any:
        return self._answer(f"POST {path}", read_seconds)

    def download(self, path: str, target: Path, **_arguments: object) -> None:
        target.write_bytes(self._answer(f"GET {path}"))

    def delete(self, path: str, *, read_seconds: float = 0, **_arguments: object) -> None:
        self._answer(f"DELETE {path}", read_seconds)

    def upload(self, path: Path, key: str) -> None:
        assert path.stat().st_size
        self._answer(f"UPLOAD {key}")

    def require_health(self) -> None:
        self.asked.append("HEALTH")

    @property
    def as_client(self) -> H2OClient:
        return cast(H2OClient, self)


def h2o_job(key: str, status: str, dest: str = "") -> dict[str, Any]:
    return {"key": {"name": key}, "dest": {"name": dest}, "status": status, "msec": 1000, "exception": None}
