"""Whether trainings were tested on the same rows: only then do their metrics say which one is better."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from db.files import find_file
from db.jobs import artifact_named, find
from db.named_models import content_of, find_version
from db.rows import JobRow
from tasks.contracts import ArtifactInput, FileInput, Input
from tasks.tabular import TableTraining

# A job, its spec and its result.
Tested = tuple[JobRow, TableTraining, Mapping[str, Any]]
_GONE = "gone: "


def why_not_comparable(session: Session, trainings: Sequence[Tested]) -> list[str]:
    """What differs, a sentence each; none where all were tested on the same rows for the same target."""
    found: list[str] = []
    for complaint, fact in _FACTS.items():
        values = [fact(one) for one in trainings]
        if any(value != values[0] for value in values):
            found.append(complaint.format(", ".join(map(str, values))))
    contents = [_content(session, job.owner_id, spec.test_dataset or spec.dataset) for job, spec, _result in trainings]
    if any(content != contents[0] for content in contents):
        if any(content.startswith(_GONE) for content in contents):
            found.append("Data of theirs is gone, so it can't be told whether they were tested on the same rows.")
        else:
            found.append("They were tested on rows of different data.")
    return found


def _split(one: Tested) -> str:
    split = one[1].effective_split
    if split is None:
        return "a test_dataset of its own"
    return f"{':'.join(f'{100 * ratio:g}' for ratio in split.ratios)} with seed {split.seed}"


_FACTS: Mapping[str, Callable[[Tested], object]] = {
    "They predict different columns: {}.": lambda one: one[1].target,
    "They solve different problems: {}.": lambda one: one[2]["problem"],
    "Their rows have different weights, by the columns {}.": lambda one: getattr(one[1], "weights_column", None),
    "Their test rows were chosen differently: {}.": _split,
    "They were tested on different numbers of rows: {}.": lambda one: one[2]["rows"].get("test"),
}


def _content(session: Session, owner_id: str, source: Input) -> str:
    """The same for the same bytes: their hash, or of what was deleted its name."""
    if isinstance(source, FileInput):
        file = find_file(session, source.file, owner_id)
        sha256 = None if file is None else file.sha256
    elif isinstance(source, ArtifactInput):
        job = find(session, source.job, owner_id)
        artifact = None if job is None else artifact_named(session, job.id, source.artifact)
        sha256 = None if artifact is None else artifact.sha256
    else:
        version = find_version(session, owner_id, source.model, source.version)
        content = None if version is None else content_of(session, version)
        sha256 = None if content is None else content.sha256
    return sha256 or _GONE + json.dumps(source.model_dump(mode="json"), sort_keys=True)
