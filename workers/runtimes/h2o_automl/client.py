"""H2O's REST interface (3.46.0.11), as far as jobs need it.

Paths and fields follow ``water.api.RegisterV3Api`` and ``ai.h2o.automl.AutoMLRegister``. Answers stay plain JSON inside
this package.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tasks.errors import ClusterLost, JobError, UpstreamError
from workers.runtimes.h2o_automl.connection import ClusterAddress, ClusterSource
from workers.runtimes.h2o_automl.failures import H2OError, plain_message

Json = dict[str, Any]

REQUIRED_VERSION = "3.46.0.11"
# A JVM under full load, or in a long garbage collection, answers late; a dead one never.
PATIENCE_SECONDS = 60.0
FIRST_PATIENCE_SECONDS = 2.0
CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
LONG_READ_SECONDS = 1800.0

# httpx logs each request's URL at INFO, which here would be several lines a second.
logging.getLogger("httpx").setLevel(logging.WARNING)


def path_part(key: str) -> str:
    return quote(key, safe="")


class H2OClient:
    """A connection to one life of a cluster: when the cluster was restarted, or answers no more, calls raise
    ``ClusterLost``. ``guard`` runs just before every call that changes something."""

    def __init__(self, source: ClusterSource, guard: Callable[[], None]) -> None:
        address = source.locate()
        if address is None:
            raise ClusterLost("There is no H2O cluster; look at the keeper's log (h2o/jvm.log).")
        self._source = source
        self._guard = guard
        self._address = address
        self._http = _open(address)
        self._cluster_id = address.cluster_id
        self._patience = FIRST_PATIENCE_SECONDS
        cloud = self.get("/3/Cloud", params={"skip_ticks": "true"})
        if cloud["version"] != REQUIRED_VERSION:
            raise UpstreamError(
                f"The H2O cluster runs {cloud['version']}, but Turnout needs {REQUIRED_VERSION} exactly."
            )
        self._patience = PATIENCE_SECONDS

    @property
    def cluster_id(self) -> str:
        """Changes with every start of the cluster (the header ``X-h2o-cluster-id``)."""
        return self._cluster_id or ""

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, *, params: dict[str, str] | None = None, read_seconds: float = READ_SECONDS) -> Json:
        return _json(self._send("GET", path, params=params, read_seconds=read_seconds))

    def post(self, path: str, data: dict[str, str] | None = None, *, read_seconds: float = READ_SECONDS) -> Json:
        self._guard()
        return _json(self._send("POST", path, data=data, read_seconds=read_seconds))

    def post_json(self, path: str, body: Json) -> Json:
        self._guard()
        return _json(self._send("POST", path, json=body, read_seconds=READ_SECONDS))

    def delete(self, path: str, *, params: dict[str, str] | None = None, read_seconds: float = READ_SECONDS) -> None:
        """Delete; that there was nothing to delete is no error."""
        self._guard()
        try:
            self._send("DELETE", path, params=params, read_seconds=read_seconds)
        except H2OError as exc:
            if exc.status != 404:
                raise

    def upload(self, path: Path, key: str) -> None:
        """Send a local file's bytes to the cluster, as the raw key ``key``."""
        self._guard()
        with path.open("rb") as file:
            self._send(
                "POST",
                "/3/PostFile",
                params={"destination_frame": key},
                files={"file": ("data", file)},
                read_seconds=LONG_READ_SECONDS,
            )

    def download(self, path: str, target: Path, *, params: dict[str, str] | None = None) -> None:
        """Stream an answer's body to a file."""
        try:
            with self._http.stream("GET", path, params=params, timeout=_timeout(LONG_READ_SECONDS)) as response:
                if response.status_code >= 400:
                    response.read()
                self._check(response)
                with target.open("wb") as file:
                    for chunk in response.iter_bytes():
                        file.write(chunk)
        except httpx.TransportError as exc:
            raise ClusterLost(
                "The H2O cluster stopped answering during a download; the job will be tried again."
            ) from exc

    def healthy(self) -> bool:
        """False when a node is lost. H2O reports jobs of such a cluster as running for ever."""
        cloud = self.get("/3/Cloud", params={"skip_ticks": "true"})
        return bool(cloud["cloud_healthy"]) and not cloud["bad_nodes"] and bool(cloud["consensus"])

    def _send(self, method: str, path: str, *, read_seconds: float, **arguments: Any) -> httpx.Response:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                response = self._http.request(method, path, timeout=_timeout(read_seconds), **arguments)
            except httpx.TransportError as exc:
                # Only a request that surely never arrived, or changes nothing, may be sent twice.
                repeatable = method == "GET" or isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout)
                self._refuse_if_lost(exc, give_up=not repeatable or time.monotonic() > deadline)
                time.sleep(0.3)
            else:
                self._check(response)
                return response

    def _refuse_if_lost(self, cause: httpx.TransportError, *, give_up: bool) -> None:
        current = self._source.locate()
        if give_up or current is None or current != self._address:
            raise ClusterLost("The H2O cluster stopped answering, and its work may be lost with it.") from cause

    def _check(self, response: httpx.Response) -> None:
        if response.status_code == 401:
            raise self._refused_login()
        answering = response.headers.get("X-h2o-cluster-id")
        if self._cluster_id is None:
            self._cluster_id = answering
        if answering is not None and answering != self._cluster_id:
            raise ClusterLost("The H2O cluster was restarted, and what it was computing is gone.")
        if response.status_code >= 400:
            raise _error(response)

    def _refused_login(self) -> JobError:
        if self._source.locate() != self._address:
            return ClusterLost("The H2O cluster was restarted, and what it was computing is gone.")
        return UpstreamError(f"H2O at {self._address.url} refused the configured user and password.")


def _open(address: ClusterAddress) -> httpx.Client:
    # trust_env would let a proxy variable carry the password elsewhere.
    return httpx.Client(base_url=address.url, auth=(address.user, address.password), trust_env=False)


def _timeout(read_seconds: float) -> httpx.Timeout:
    return httpx.Timeout(CONNECT_SECONDS, read=read_seconds, write=READ_SECONDS)


def _json(response: httpx.Response) -> Json:
    answer: Json = response.json()
    return answer


def _error(response: httpx.Response) -> H2OError:
    try:
        body = response.json()
    except ValueError:
        return H2OError(response.status_code, "", response.text[:200])
    return H2OError(response.status_code, body.get("exception_type") or "", plain_message(body.get("msg") or ""))
