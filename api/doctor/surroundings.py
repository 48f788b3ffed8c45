"""The machine and the servers around the API: space, address, H2O, Flower."""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr

from api.doctor.findings import Finding, fail, ok, warn
from api.settings import ApiSettings
from db.store import Store

_ANSWER_SECONDS = 2.0
_SCARCE_FACTOR = 5
_H2O_ADVICE = "Its log is in the home's h2o directory; the keeper starts a new one. Jobs in the queue h2o wait for it."


@dataclass(frozen=True)
class Surroundings:
    """What the doctor looks at beside what requests need. None: there is no such thing, or it is not told."""

    broker_url: SecretStr | None = None
    # Written by the keeper of the embedded cluster while that is healthy.
    h2o_cluster_file: Path | None = None
    h2o_url: str | None = None
    flower_url: str | None = None


def disk_finding(store: Store, min_free_bytes: int) -> Finding:
    """Raises ``OSError``."""
    free = store.free_bytes()
    message = f"{free / 1e9:.1f} GB are free where files are kept."
    if free < min_free_bytes:
        return fail("disk", f"Only {message} Uploads are refused.", "Delete files and old jobs, or use a larger disk.")
    if free < _SCARCE_FACTOR * min_free_bytes:
        advice = f"Make room: uploads are refused below {min_free_bytes / 1e9:.1f} GB (TURNOUT_MIN_FREE_BYTES)."
        return warn("disk", message, advice)
    return ok("disk", message)


def address_finding(settings: ApiSettings) -> Finding:
    if _is_loopback(settings.api_host):
        return ok("address", "The API listens on this machine only, and asks for a key.")
    advice = "Keys travel readable without TLS: put a proxy with TLS before it, or let only a private network reach it."
    return warn("address", "The API listens on a network by plain HTTP, and asks for a key.", advice)


def h2o_finding(surroundings: Surroundings) -> Finding | None:
    """None where no cluster is to be expected."""
    if surroundings.h2o_url is not None:
        return _external_h2o(surroundings.h2o_url)
    if surroundings.h2o_cluster_file is None:
        return None
    try:
        announced = json.loads(surroundings.h2o_cluster_file.read_text(encoding="utf-8"))
        url, version, nodes = str(announced["url"]), str(announced["version"]), len(announced["pids"])
    except FileNotFoundError:
        return None if not surroundings.h2o_cluster_file.parent.is_dir() else _h2o_away()
    except (OSError, ValueError, KeyError, TypeError) as exc:
        return fail("h2o", f"What the H2O cluster announced can't be read ({type(exc).__name__}).", _H2O_ADVICE)
    if _status(url) is None:
        return _h2o_away()
    of_nodes = f" of {nodes} nodes" if nodes > 1 else ""
    return ok("h2o", f"The embedded H2O cluster{of_nodes} (version {version}) answers.")


def flower_finding(flower_url: str) -> Finding:
    if _status(f"{flower_url.rstrip('/')}/healthcheck") == httpx.codes.OK:
        return ok("flower", "Flower answers.")
    return warn("flower", "Flower does not answer.", "Start it again; jobs don't need it.")


def _external_h2o(url: str) -> Finding:
    try:
        answer = httpx.get(f"{url.rstrip('/')}/3/Cloud", timeout=_ANSWER_SECONDS, trust_env=False)
    except (httpx.RequestError, httpx.InvalidURL) as exc:
        advice = "Start it, or correct TURNOUT_H2O_URL; jobs in the queue h2o fail until it answers."
        return fail("h2o", f"The H2O cluster does not answer ({type(exc).__name__}).", advice)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return ok("h2o", "The H2O cluster answers, and asks for the password that only workers have.")
    try:
        cloud = answer.json()
        version, healthy = str(cloud["version"]), bool(cloud["cloud_healthy"])
    except (ValueError, KeyError, TypeError):
        return fail("h2o", "What answers for the H2O cluster is something else.", "Correct TURNOUT_H2O_URL.")
    if not healthy:
        return fail("h2o", f"The H2O cluster (version {version}) is not healthy.", "Look at its nodes; restart it.")
    if not _is_loopback(httpx.URL(url).host):
        advice = "Start it with a password (`-hash_login`), or let only workers reach it: who does may run code there."
        return warn("h2o", f"The H2O cluster (version {version}) is healthy, and lets in whoever reaches it.", advice)
    return ok("h2o", f"The H2O cluster (version {version}) is healthy.")


def _h2o_away() -> Finding:
    return fail("h2o", "The embedded H2O cluster does not answer, or is just starting.", _H2O_ADVICE)


def _status(url: str) -> int | None:
    """The status of the answer; None without one."""
    try:
        return httpx.get(url, timeout=_ANSWER_SECONDS, trust_env=False).status_code
    except (httpx.RequestError, httpx.InvalidURL):
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
