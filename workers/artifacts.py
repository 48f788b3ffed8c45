"""Moving files between a runner's scratch directory and the store."""

import re
from pathlib import Path

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.attempt_writes import NewArtifact, add_artifact
from db.claims import Fenced, Token
from db.engine import Database
from db.files import find_file
from db.ids import new_id
from db.jobs import artifact_named, find
from db.named_models import content_of, find_version
from db.rows import JobRow
from db.store import Store
from tasks.contracts import ArtifactInput, FileInput, Input, ModelInput
from tasks.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


def keep_artifact(database: Database, store: Store, token: Token, *, name: str, source: Path, media_type: str) -> None:
    """Put the file into the store, then its row into the database under the attempt's token.

    Raises ``ValueError`` for an unusable name, ``OSError`` for a store that is full or gone, ``Fenced``, and
    ``OperationalError``.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no artifact name: use letters, digits, '.', '_' and '-'")
    key = f"jobs/{token.job_id}/{token.attempt}/{new_id()}"
    stored = store.put(key, source)
    new = NewArtifact(name, media_type, stored.size_bytes, stored.sha256, key)
    try:
        with database.write() as session:
            replaced = add_artifact(session, token, new)
    except (Fenced, OperationalError):
        store.delete(key)
        raise
    if replaced is not None:
        store.delete(replaced)


def input_path(session: Session, store: Store, job: JobRow, source: Input) -> Path:
    """Where an input's data lies. Raises ``InvalidInput`` if its owner has no such file, or no longer."""
    if isinstance(source, FileInput):
        file = find_file(session, source.file, job.owner_id)
        if file is None:
            raise InvalidInput(f"There is no file {source.file}; upload it again.")
        return store.path(file.key)
    if isinstance(source, ArtifactInput):
        maker = find(session, source.job, job.owner_id)
        artifact = None if maker is None else artifact_named(session, maker.id, source.artifact)
        if artifact is None:
            raise InvalidInput(f"Job {source.job} has no artifact {source.artifact}.")
        return store.path(artifact.key)
    if isinstance(source, ModelInput):
        version = find_version(session, job.owner_id, source.model, source.version)
        content = None if version is None else content_of(session, version)
        if content is None:
            raise InvalidInput(f"There is no file of model {source.model}, version {source.version}; name it anew.")
        return store.path(content.key)
    raise TypeError(type(source).__name__)
