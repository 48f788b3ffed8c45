"""Brings data into the cluster as frames, and splits them there."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tasks.errors import JobError
from workers.runtimes.h2o_automl.client import LONG_READ_SECONDS, H2OClient, Json, path_part
from workers.runtimes.h2o_automl.failures import H2OError, out_of_memory, plain_message

TERMINAL = frozenset({"DONE", "FAILED", "CANCELLED"})
CANCEL_SECONDS = 60.0
_MOST_LISTINGS = 20


def read_job(client: H2OClient, job_key: str) -> Json:
    answer: Json = client.get(f"/3/Jobs/{path_part(job_key)}")["jobs"][0]
    return answer


def destination(h2o_job: Json) -> str:
    """The key of what a job makes."""
    return (h2o_job["dest"] or {}).get("name") or ""


def listed_jobs(client: H2OClient, prefix: str) -> list[Json]:
    """The jobs that make something with a name that has ``prefix`` in it, of all that the cluster ever had: not for
    polling."""
    return [job for job in client.get("/3/Jobs")["jobs"] if prefix in destination(job)]


def end_jobs(client: H2OClient, prefix: str) -> None:
    """End what still works on things whose name has ``prefix`` in it."""
    for job in listed_jobs(client, prefix):
        if job["status"] not in TERMINAL:
            end_job(client, job["key"]["name"])


def end_job(client: H2OClient, job_key: str) -> None:
    """Cancel an H2O job and wait until it ended, at most a minute. One that is gone is no error."""
    try:
        client.post(f"/3/Jobs/{path_part(job_key)}/cancel")
        deadline = time.monotonic() + CANCEL_SECONDS
        while read_job(client, job_key)["status"] not in TERMINAL and time.monotonic() < deadline:
            time.sleep(0.1)
    except H2OError as exc:
        if exc.status not in (400, 404):
            raise


def await_job(client: H2OClient, job_key: str, tick: Callable[[], None]) -> None:
    """Wait for a short H2O job, calling ``tick`` between looks. Raises ``H2OError`` if it failed, and ``NodeLost``.

    What ``tick`` raises ends the H2O job too, or its frames could be neither removed nor made again.
    """
    pause = 0.02
    while True:
        job = read_job(client, job_key)
        if job["status"] in TERMINAL:
            break
        client.require_health()
        try:
            tick()
        except JobError:
            end_job(client, job_key)
            raise
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
    if job["status"] != "DONE":
        reason = job.get("exception") or f"its job ended as {job['status']}"
        if "OutOfMemory" in reason:
            raise out_of_memory("this step")
        raise H2OError(412, job["status"], plain_message(reason))


def upload_table(
    client: H2OClient,
    path: Path,
    key: str,
    *,
    columns: Sequence[str],
    separator: str | None,
    types: Mapping[str, str],
    missing: Mapping[str, Sequence[str]],
    renamed: Mapping[str, str],
    tick: Callable[[], None],
) -> int:
    """Upload and parse a file into the frame ``key``; answers its number of rows.

    ``columns`` are the names as the check found them, and ``separator`` is None for Parquet. By column, ``types`` sets
    H2O types (``Enum``, ``Numeric``, …) over H2O's guess, ``missing`` the words for missing values, and ``renamed`` the
    name, plain ASCII, that it gets in the end. ``tick`` is called while H2O parses.
    """
    raw = f"{key}_raw"
    client.upload(path, raw)
    guess = {"source_frames": _names([raw])}
    if separator is not None:
        guess |= {"separator": str(ord(separator)), "check_header": "1", "parse_type": "CSV"}
    setup = client.post("/3/ParseSetup", guess)
    if setup["number_columns"] != len(columns):
        raise H2OError(412, "", f"it found {setup['number_columns']} columns where the header names {len(columns)}")
    for ours, theirs in zip(columns, setup["column_names"], strict=True):
        # A header that differs from the names in any way would be read as a row of data.
        if ours != theirs:
            raise H2OError(412, "", f"it reads the column name {ours!r} as {theirs!r}; rename the column")
    column_types = [types.get(name, guessed) for name, guessed in zip(columns, setup["column_types"], strict=True)]
    parse = client.post(
        "/3/Parse",
        {
            "source_frames": _names([raw]),
            "destination_frame": key,
            "parse_type": setup["parse_type"],
            "separator": str(setup["separator"]),
            "number_columns": str(len(columns)),
            "single_quotes": str(setup["single_quotes"]).lower(),
            "column_names": _names(columns),
            "column_types": _names(column_types),
            "na_strings": json.dumps([list(missing.get(name, ())) for name in columns], ensure_ascii=False),
            "check_header": str(setup["check_header"]),
            "chunk_size": str(setup["chunk_size"]),
            "delete_on_done": "true",
        },
    )
    await_job(client, parse["job"]["key"]["name"], tick)
    _enforce_enums(client, key, [name for name, kind in types.items() if kind == "Enum"])
    _rename(client, key, columns, renamed)
    return row_count(client, key)


def split_frame(client: H2OClient, key: str, parts: Sequence[tuple[str, float]], seed: int) -> None:
    """Split a frame by row into ``parts`` (key and share; the shares sum to 1), as ``h2o.H2OFrame.split_frame`` does.

    The same seed gives the same rows as there. The parts are made by ``assign``, so that they outlive the session.
    """
    random = f"{key}_random"
    session = client.post("/4/sessions")["session_key"]
    try:
        _rapids(client, session, f"(assign {random} (h2o.runif {key} {seed}))")
        low = 0.0
        for index, (part, share) in enumerate(parts):
            last = index == len(parts) - 1
            conditions = [f"(> {random} {low!r})"] if index else []
            if not last:
                conditions.append(f"(<= {random} {low + share!r})")
            rows = conditions[0] if len(conditions) == 1 else f"(& {' '.join(conditions)})"
            _rapids(client, session, f"(assign {part} (rows {key} {rows}))")
            low += share
    finally:
        client.delete(f"/3/DKV/{random}")
        client.delete(f"/4/sessions/{path_part(session)}")


def copy_without(client: H2OClient, key: str, copy: str, column: str) -> None:
    """A frame with all columns of another but one."""
    kept = [str(index) for index, found in enumerate(frame_columns(client, key)) if found["label"] != column]
    session = client.post("/4/sessions")["session_key"]
    _rapids(client, session, f"(assign {copy} (cols_py {key} [{' '.join(kept)}]))")
    client.delete(f"/4/sessions/{path_part(session)}")


def copy_rows(client: H2OClient, key: str, copy: str, numbers: Sequence[int]) -> None:
    """A frame with the rows of another that have these numbers, counted from 0, which have to ascend."""
    session = client.post("/4/sessions")["session_key"]
    _rapids(client, session, f"(assign {copy} (rows {key} [{' '.join(map(str, numbers))}]))")
    client.delete(f"/4/sessions/{path_part(session)}")


def _enforce_enums(client: H2OClient, key: str, names: Sequence[str]) -> None:
    """Parquet keeps its own types whatever parsing is told, so numbers that mean classes are converted afterwards."""
    numeric = [
        index
        for index, column in enumerate(frame_columns(client, key))
        if column["label"] in names and column["type"] != "enum"
    ]
    if not numeric:
        return
    session = client.post("/4/sessions")["session_key"]
    for index in numeric:
        _rapids(client, session, f"(assign {key} (:= {key} (as.factor (cols_py {key} {index})) {index} []))")
    client.delete(f"/4/sessions/{path_part(session)}")


def _rename(client: H2OClient, key: str, columns: Sequence[str], renamed: Mapping[str, str]) -> None:
    """Give columns other names. Parsing can't: it would take a header with other names for a row of data."""
    for name, new in renamed.items():
        session = client.post("/4/sessions")["session_key"]
        _rapids(client, session, f'(assign {key} (colnames= {key} [{columns.index(name)}] ["{new}"]))')
        client.delete(f"/4/sessions/{path_part(session)}")


def row_count(client: H2OClient, key: str) -> int:
    return int(client.get(f"/3/Frames/{path_part(key)}/light")["frames"][0]["rows"])


def frame_columns(client: H2OClient, key: str) -> list[Json]:
    """A frame's columns with ``label``, ``type`` and an enum's ``domain``, without any rows."""
    params = {"row_count": "0", "column_count": "-1"}
    columns: list[Json] = client.get(f"/3/Frames/{path_part(key)}", params=params)["frames"][0]["columns"]
    return columns


def frame_names(client: H2OClient) -> list[str]:
    """Every frame of the cluster. H2O reads its list in two steps and answers 404 when another job removed a frame in
    between, so a list that failed is asked for again."""
    for _ in range(_MOST_LISTINGS - 1):
        try:
            return _listed_frames(client)
        except H2OError as exc:
            if exc.status != 404:
                raise
    return _listed_frames(client)


def _listed_frames(client: H2OClient) -> list[str]:
    return [frame["frame_id"]["name"] for frame in client.get("/3/Frames")["frames"]]


def remove_key(client: H2OClient, key: str, *, cascade: bool = True) -> None:
    """Remove a key and, with ``cascade``, what hangs on it: REST's own default leaks every model of an AutoML."""
    client.delete(f"/3/DKV/{path_part(key)}", params={"cascade": str(cascade).lower()}, read_seconds=LONG_READ_SECONDS)


def _rapids(client: H2OClient, session: str, expression: str) -> None:
    # Expressions hold only names and numbers of our own making: Rapids can set system properties of the JVM.
    client.post("/99/Rapids", {"ast": expression, "session_id": session}, read_seconds=LONG_READ_SECONDS)


def _names(names: Sequence[str]) -> str:
    return json.dumps(list(names), ensure_ascii=False)
