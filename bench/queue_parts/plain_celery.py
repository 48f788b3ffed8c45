"""Celery as people set it up: the baselines of ``bench/queue.py``.

``PLAIN_BROKER`` and ``PLAIN_BACKEND`` say where; without a backend the tasks ignore their results. As an ASGI app it is
the submission API that people put before it.
"""

import os
import time
from pathlib import Path

from celery import Celery
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

BACKEND = os.environ.get("PLAIN_BACKEND") or None

celery = Celery("plain", broker=os.environ.get("PLAIN_BROKER", "memory://"), backend=BACKEND)
celery.conf.task_ignore_result = BACKEND is None
celery.conf.broker_connection_retry_on_startup = True


@celery.task(name="do_nothing")  # type: ignore[untyped-decorator]
def do_nothing() -> None:
    return None


@celery.task(name="note_the_time", ignore_result=True)  # type: ignore[untyped-decorator]
def note_the_time(path: str) -> None:
    """Comes last and tells when."""
    whole = Path(path)
    part = whole.with_suffix(".part")
    part.write_text(repr(time.time()))
    part.rename(whole)


class Submission(BaseModel):
    """What is to be done."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    spec: dict[str, object]


api = FastAPI()


@api.post("/v1/jobs", status_code=202)
def submit(_body: Submission) -> dict[str, str]:
    return {"id": do_nothing.delay().id}
