"""Speaks with the hub in a process of its own: ``python -P -m workers.inference.hub_child``.

Reads one order from standard input as JSON and prints one line as the answer: ``{"list": …}`` resolves a revision and
lists the files, ``{"download": …}`` fetches some of them. The runner itself never reaches the hub: its libraries are
told to be offline, so that no model can make them fetch anything.
"""

import json
import sys
from typing import Any

import httpx2
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

_DENIED = (401, 403)
_UNAVAILABLE = (408, 429)


def list_files(hub: str, revision: str) -> dict[str, Any]:
    """The commit that a revision is at, and its files with what the hub says of their content: the SHA-256 of large
    ones, Git's own hash of others."""
    info = HfApi().model_info(hub, revision=revision, files_metadata=True)
    files = [
        {
            "name": file.rfilename,
            "size_bytes": file.size or 0,
            "sha256": file.lfs.sha256 if file.lfs else None,
            "git_sha1": file.blob_id,
        }
        for file in info.siblings or ()
    ]
    return {"commit": info.sha, "files": files}


def download(hub: str, commit: str, names: list[str], target: str) -> dict[str, Any]:
    """Put these files below ``target``; what is there already of an interrupted download is not fetched again."""
    snapshot_download(hub, revision=commit, local_dir=target, allow_patterns=names, max_workers=4)
    return {}


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    try:
        if "list" in order:
            return list_files(**order["list"])
        return download(**order["download"])
    except GatedRepoError:
        return _refused("its authors give access only to those who ask; a token is missing or lacks the access")
    except RevisionNotFoundError:
        return _refused("it has no such revision")
    except (RepositoryNotFoundError, EntryNotFoundError) as exc:
        if isinstance(exc, LocalEntryNotFoundError):
            return {"unavailable": "the connection broke"}
        return _refused("there is no such model, or it is private")
    except HfHubHTTPError as exc:
        status = exc.response.status_code
        if status in _DENIED:
            return _refused("the hub denies access to it")
        if status in _UNAVAILABLE or status >= 500:
            return {"unavailable": f"it answered with HTTP {status}"}
        return _refused(f"the hub answered with HTTP {status}")
    except (httpx2.HTTPError, OSError) as exc:
        return {"unavailable": f"the connection failed ({type(exc).__name__})"}


def _refused(why: str) -> dict[str, Any]:
    return {"refused": why}


if __name__ == "__main__":
    json.dump(_answer(json.loads(sys.stdin.readline())), sys.stdout)
