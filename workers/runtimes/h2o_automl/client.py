"""H2O's REST interface (3.46.0.11), as far as jobs need it.

Paths and fields follow ``water.api.RegisterV3Api`` and ``ai.h2o.automl.AutoMLRegister``. Answers stay plain JSON inside
this package.
"""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from tasks.errors import ClusterLost, JobError, UpstreamError, UpstreamUnfit
from workers.runtimes.h2o_automl.connection import ClusterAddress, ClusterSource
from workers.runtimes.h2o_automl.failures import H2OError, plain_message
from workers.runtimes.h2o_automl.nodes import Nodes
from workers.runtimes.h2o_automl.overseen import overseen

Json = dict[str, Any]
T = TypeVar("T")

REQUIRED_VERSION = "3.46.0.11"
# A JVM under full load, or in a long garbage collection, answers late; a dead one never.
PATIENCE_SECONDS = 60.0
FIRST_PATIENCE_SECONDS = 2.0
CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
LONG_READ_SECONDS = 1800.0
HEALTH_SECONDS = 5.0
CLOUD_SECONDS = 20.0
FORMING_SECONDS = 15.0
_CLOUD = "/3/Cloud"

# httpx logs each request's URL at INFO, which here would be several lines a second.
logging.getLogger("httpx").setLevel(logging.WARNING)


def path_part(key: str) -> str:
    return quote(key, safe="")


class H2OClient:
    """A connection to one life of a cluster: when the cluster was restarted, or answers no more, calls raise
    ``ClusterLost``. ``guard`` runs just before every call that changes something."""

    def __init__(self, source: ClusterSource, guard: Callable[[], None]) -> None:
        with ExitStack() as opened:
            opened.enter_context(source.using())
            address = source.locate()
            if address is None:
                raise ClusterLost("There is no H2O cluster; look at the keeper's log (h2o/jvm.log).")
            self._source = source
            self._guard = guard
            self._address = address
            self._http = opened.enter_context(_open(address))
            self._cluster_id = address.cluster_id
            self._patience = FIRST_PATIENCE_SECONDS
            self._nodes: Nodes | None = None
            self._nodes = self._look_at_nodes()
            self._health_due = time.monotonic() + HEALTH_SECONDS
            self._patience = PATIENCE_SECONDS
            self._opened = opened.pop_all()

    def _look_at_nodes(self) -> Nodes:
        cloud = self._cloud()
        if cloud["version"] != REQUIRED_VERSION:
            raise UpstreamUnfit(
                f"The H2O cluster at {self._address.url} runs {cloud['version']}, but Turnout needs {REQUIRED_VERSION} "
                "exactly: newer versions refuse to export models. Start that version there, or leave out "
                "TURNOUT_H2O_URL to use the embedded cluster."
            )
        # The first job locks a cluster: nodes that come later stay outside for good. A keeper has waited for them.
        if self._address.cluster_id is None and cloud["cloud_uptime_millis"] < FORMING_SECONDS * 1000:
            raise ClusterLost("The H2O cluster was just started, and its nodes may not all have joined it.")
        nodes = Nodes(cloud)
        nodes.require_awake(cloud)
        return nodes

    @property
    def cluster_id(self) -> str:
        """Changes with every start of the cluster (the header ``X-h2o-cluster-id``)."""
        return self._cluster_id or ""

    @property
    def outside_bytes(self) -> int | None:
        """What the cluster may take outside of its heaps; None where nobody knows."""
        return self._address.outside_bytes

    def close(self) -> None:
        self._opened.close()

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
        self._overseen(lambda: self._download(path, target, params))

    def _download(self, path: str, target: Path, params: dict[str, str] | None) -> None:
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

    def require_health(self) -> None:
        """Look, at most every five seconds, whether the cluster still has all its nodes: one that lost some reports its
        jobs as running for ever. Raises ``NodeLost``."""
        if time.monotonic() < self._health_due:
            return
        self._health_due = time.monotonic() + HEALTH_SECONDS
        cloud = self._cloud()
        if self._nodes is not None:
            self._nodes.require_all(cloud)

    def _cloud(self) -> Json:
        return _json(self._send("GET", _CLOUD, params={"skip_ticks": "true"}, read_seconds=CLOUD_SECONDS))

    def _request(self, method: str, path: str, read_seconds: float, arguments: dict[str, Any]) -> httpx.Response:
        def ask() -> httpx.Response:
            return self._http.request(method, path, timeout=_timeout(read_seconds), **arguments)

        return ask() if path == _CLOUD else self._overseen(ask)

    def _overseen(self, call: Callable[[], T]) -> T:
        """A lone node that dies breaks the connection. One that lost another node answers nothing that needs that one,
        not even how a job stands, but still says how the cluster is."""
        if self._nodes is None or self._nodes.count == 1:
            return call()
        return overseen(call, self.require_health, HEALTH_SECONDS)

    def _send(self, method: str, path: str, *, read_seconds: float, **arguments: Any) -> httpx.Response:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                response = self._request(method, path, read_seconds, arguments)
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
