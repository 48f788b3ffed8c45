"""Where the server is and which key to use: said outright, in ``TURNOUT_URL`` and ``TURNOUT_API_KEY``, or remembered
by ``turnout up`` in the user's configuration directory."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8400"


@dataclass(frozen=True)
class Connection:
    """A server's address, without a slash at its end, and the key to show it."""

    url: str
    api_key: str | None


def find_connection(
    url: str | None = None, api_key: str | None = None, environment: Mapping[str, str] = os.environ
) -> Connection:
    """Each from the first place that has it. A remembered key is shown only to the server it was remembered for."""
    kept_url, kept_key_file = _remembered(environment)
    found_url = (url or environment.get("TURNOUT_URL") or kept_url or DEFAULT_URL).rstrip("/")
    found_key = api_key or environment.get("TURNOUT_API_KEY") or None
    if found_key is None and kept_key_file is not None and found_url == (kept_url or "").rstrip("/"):
        found_key = _read_key(kept_key_file)
    return Connection(found_url, found_key)


def remember(url: str, api_key_file: Path | str, environment: Mapping[str, str] = os.environ) -> None:
    """Let the command line and the SDK of this user find the server from anywhere."""
    path = _record(environment)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(json.dumps({"url": url, "api_key_file": str(Path(api_key_file).resolve())}) + "\n")
    part.replace(path)


def _record(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "turnout" / "connection.json"


def _remembered(environment: Mapping[str, str]) -> tuple[str | None, Path | None]:
    try:
        record = json.loads(_record(environment).read_text())
        return str(record["url"]), Path(record["api_key_file"])
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        # Nothing remembered, or nothing that can be read: the same to the user, who is told how to say it.
        return None, None


def _read_key(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except (OSError, ValueError):
        return None
