"""How far the leaderboard that a user sees lags behind the one that H2O has."""

import json
import threading
import time
from collections.abc import Callable

import httpx

from bench.automl_parts.cases import Case
from bench.automl_parts.sides import submit
from turnout import Client
from turnout.records import File
from turnout.stack import Connection

LOOK_SECONDS = 0.02


def lags(connection: Connection, client: Client, case: Case, file: File) -> list[float]:
    """Seconds from H2O's having so many models to Turnout's API showing them, for each number of models from 1 on."""
    job = submit(client, case, file)
    ended = threading.Event()
    at_h2o: dict[int, float] = {}
    at_api: dict[int, float] = {}
    cluster = json.loads((connection.home / "h2o" / "cluster.json").read_text())
    project = f"job_{job.id.replace('-', '')}_r1_automl"
    with httpx.Client(base_url=cluster["url"], auth=(cluster["user"], cluster["password"])) as h2o:

        def count_in_h2o() -> int:
            answer = h2o.get(f"/99/AutoML/{project}").json()
            table = answer["leaderboard_table"] if answer.get("project_name") else None
            return len(table["data"][0]) if table and table["data"] else 0

        watches = [
            threading.Thread(target=_watch, args=(count_in_h2o, at_h2o, ended)),
            threading.Thread(target=_watch, args=(lambda: len(job.leaderboard().rows), at_api, ended)),
        ]
        for watch in watches:
            watch.start()
        record = job.wait(600)
        ended.set()
        for watch in watches:
            watch.join()
    if record.state != "succeeded":
        raise SystemExit(f"The job {record.state}: {record.error}")
    return [max(at_api[count] - seen, 0.0) for count, seen in sorted(at_h2o.items())]


def _watch(count: Callable[[], int], first_seen: dict[int, float], ended: threading.Event) -> None:
    """Note when each number of rows was first seen; a jump over some counts for all of them."""
    most = 0
    while not ended.wait(LOOK_SECONDS):
        rows = count()
        for number in range(most + 1, rows + 1):
            first_seen[number] = time.monotonic()
        most = max(most, rows)
