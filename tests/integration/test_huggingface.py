"""Jobs of Hugging Face's kinds through a real worker: from the row to the result and the events."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from db.engine import Database
from db.files import add_file
from db.named_models import NewVersion, add_version
from db.rows import EventRow
from db.states import State
from db.store import Store
from tests.integration.rows import wait_for
from tests.integration.worker_process import Workers

pytest.importorskip("transformers")

from tests.models.shelf import Shelf

pytestmark = pytest.mark.processes_alone

TEXT = "the cat sat on the mat ."
SPECS: dict[str, dict[str, Any]] = {
    "classify_text": {"model": "mood", "texts": [TEXT]},
    "summarize_text": {"model": "summarizer", "texts": [TEXT]},
    "answer_question": {"model": "answerer", "question": "who sat ?", "context": TEXT},
    "translate_text": {"model": "multilingual", "texts": [TEXT], "src_lang": "en_XX", "tgt_lang": "fr_XX"},
    "generate_text": {
        "model": "continuer", "prompts": [TEXT], "do_sample": False, "max_new_tokens": 20, "return_full_text": False,
        "stream": True,
    },
}  # fmt: skip


def name_upload(database: Database, owner_id: str, home: Path, name: str, model: Path) -> None:
    """Do what the API does for an uploaded archive that gets a name."""
    archive = Path(shutil.make_archive(str(home / name), "gztar", model))
    key = f"files/{name}"
    stored = Store(home / "store").put(key, archive)
    with database.write() as session:
        file = add_file(
            session, owner_id=owner_id, name=archive.name, media_type="application/gzip", key=key, stored=stored
        )
        add_version(session, NewVersion(owner_id, name, file_id=file.id))


def test_jobs_of_several_kinds(
    database: Database, owner_id: str, workers: Workers, submitted: Callable[..., str], tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path / "models")
    for spec in SPECS.values():
        shelf.model(spec["model"])
    jobs = {kind: submitted(kind=kind, spec={"kind": kind, **spec}) for kind, spec in SPECS.items()}
    wrong = submitted(kind="fill_mask", spec={"kind": "fill_mask", "model": "mood", "texts": ["a [MASK] ."]})
    name_upload(database, owner_id, tmp_path, "mini", shelf.model("embedder"))
    embed = {"kind": "embed_text", "texts": [TEXT], "model": {"model": "mini", "version": 1}}
    named = submitted(kind="embed_text", spec=embed)
    by_directory = submitted(kind="embed_text", spec={**embed, "model": "embedder"})
    workers.start(models=str(shelf.root), device="cpu")
    outputs = {}
    for kind, job_id in jobs.items():
        job = wait_for(database, job_id)
        assert job.state == State.SUCCEEDED, job.error
        assert job.result is not None
        outputs[kind] = job.result["outputs"]
    assert set(outputs["classify_text"][0]) == {"label", "score"}
    assert set(outputs["answer_question"][0]) == {"score", "start", "end", "answer"}
    with database.read() as session:
        told = session.scalars(
            select(EventRow.data)
            .where(EventRow.job_id == jobs["generate_text"], EventRow.type == "output")
            .order_by(EventRow.seq)
        ).all()
    assert "".join(data["text"] for data in told) == outputs["generate_text"][0][0]["generated_text"]
    embedded, expected = (wait_for(database, job_id) for job_id in (named, by_directory))
    assert (embedded.state, embedded.error) == (State.SUCCEEDED, None)
    assert embedded.result == expected.result
    refused = wait_for(database, wrong)
    assert refused.state == State.FAILED
    assert "BertForSequenceClassification, which can't fill masks" in str(refused.error)
