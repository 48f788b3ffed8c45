"""Names that owners give to models, each with its versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from db.ids import new_id
from db.jobs import artifact_named
from db.rows import ArtifactRow, FileRow, JobModelRow, JobRow, ModelRow, ModelVersionRow
from db.states import OPEN_STATES


class ModelInUse(Exception):
    """An open job reads a version; ``args[0]`` is the job's id, ``args[1]`` the version."""


class SourceGone(Exception):
    """What the version was to stand for was deleted in this moment."""


@dataclass(frozen=True)
class NewVersion:
    """What a name is to stand for from now on: a file, an artifact of a final job, or a revision of a hub's model."""

    owner_id: str
    name: str
    file_id: str | None = None
    job_id: str | None = None
    artifact: str | None = None
    hub: str | None = None
    revision: str | None = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Content:
    """The bytes behind a version: where they lie in the store, and what they are called."""

    key: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str


def add_version(session: Session, new: NewVersion) -> ModelVersionRow:
    """Raises ``SourceGone``; two that come at once get numbers of their own."""
    _lock_source(session, new)
    row = ModelVersionRow(id=new_id(), version=_next_number(session, new.owner_id, new.name), **_values(new))
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def _values(new: NewVersion) -> dict[str, object]:
    return {**vars(new), "tags": dict(new.tags)}


def _next_number(session: Session, owner_id: str, name: str) -> int:
    where = {"owner_id": owner_id, "name": name}
    number = _counted(session, owner_id, name)
    if number is not None:
        return number
    try:
        with session.begin_nested():
            session.add(ModelRow(**where, last_version=1))
            session.flush()
    except IntegrityError:
        # Another one gave the name its first version meanwhile.
        return _counted(session, owner_id, name) or 1
    return 1


def _counted(session: Session, owner_id: str, name: str) -> int | None:
    """Takes the name's row lock; None if there is no such row."""
    return session.scalar(
        update(ModelRow)
        .where(ModelRow.owner_id == owner_id, ModelRow.name == name)
        .values(last_version=ModelRow.last_version + 1)
        .returning(ModelRow.last_version)
        .execution_options(synchronize_session=False)
    )


def _lock_source(session: Session, new: NewVersion) -> None:
    """As long as its row is locked the source can't be deleted, and after that the version keeps it."""
    row, wanted = (FileRow, new.file_id) if new.file_id is not None else (JobRow, new.job_id)
    if wanted is None:
        return
    query = select(row.id).where(row.id == wanted, row.owner_id == new.owner_id)
    if session.scalar(query.with_for_update(key_share=True, read=True)) is None:
        raise SourceGone(wanted)


def find_version(session: Session, owner_id: str, name: str, version: int | None = None) -> ModelVersionRow | None:
    """That version of the owner's, or the newest."""
    query = select(ModelVersionRow).filter_by(owner_id=owner_id, name=name)
    if version is not None:
        query = query.filter_by(version=version)
    return session.scalar(query.order_by(ModelVersionRow.version.desc()).limit(1))


def owners_of(session: Session, name: str) -> Sequence[str]:
    """Who has a model of that name."""
    return session.scalars(
        select(ModelVersionRow.owner_id).filter_by(name=name).distinct().order_by(ModelVersionRow.owner_id)
    ).all()


def versions_of(session: Session, owner_id: str, name: str) -> Sequence[ModelVersionRow]:
    """Newest first."""
    query = select(ModelVersionRow).filter_by(owner_id=owner_id, name=name).order_by(ModelVersionRow.version.desc())
    return session.scalars(query).all()


def list_models(
    session: Session, owner_id: str | None, limit: int, before_id: str | None = None
) -> Sequence[ModelVersionRow]:
    """The newest version of each name (None: of every owner's), the one that was added last first."""
    newer = aliased(ModelVersionRow)
    superseded = exists().where(
        newer.owner_id == ModelVersionRow.owner_id,
        newer.name == ModelVersionRow.name,
        newer.version > ModelVersionRow.version,
    )
    query = select(ModelVersionRow).where(~superseded).order_by(ModelVersionRow.id.desc()).limit(limit)
    if owner_id is not None:
        query = query.where(ModelVersionRow.owner_id == owner_id)
    if before_id is not None:
        query = query.where(ModelVersionRow.id < before_id)
    return session.scalars(query).all()


def delete_versions(session: Session, rows: Sequence[ModelVersionRow]) -> None:
    """What they stand for is left alone. Raises ``ModelInUse``."""
    ids = [row.id for row in rows]
    # Whoever submits a job with a version locks its row first: one of the two sees the other.
    # On PostgreSQL it and one that names several of them would deadlock without a common order.
    locked = select(ModelVersionRow.id).where(ModelVersionRow.id.in_(ids)).order_by(ModelVersionRow.id)
    session.scalars(locked.with_for_update()).all()
    user = session.execute(
        select(JobRow.id, ModelVersionRow.version)
        .join(JobModelRow, JobModelRow.job_id == JobRow.id)
        .join(ModelVersionRow, ModelVersionRow.id == JobModelRow.model_version_id)
        .where(JobModelRow.model_version_id.in_(ids), JobRow.state.in_(OPEN_STATES))
        .limit(1)
    ).one_or_none()
    if user is not None:
        raise ModelInUse(*user)
    session.execute(delete(ModelVersionRow).where(ModelVersionRow.id.in_(ids)))


def content_of(session: Session, row: ModelVersionRow) -> Content | None:
    """None for a model of the hub, which lies elsewhere."""
    if row.file_id is not None:
        file = session.get_one(FileRow, row.file_id)
        return _content(file)
    if row.job_id is not None and row.artifact is not None:
        artifact = artifact_named(session, row.job_id, row.artifact)
        return None if artifact is None else _content(artifact)
    return None


def _content(row: FileRow | ArtifactRow) -> Content:
    return Content(row.key, row.name, row.media_type, row.size_bytes, row.sha256)


def name_of_file(session: Session, file_id: str) -> ModelVersionRow | None:
    """A version that stands for the file, if there is one."""
    return session.scalar(select(ModelVersionRow).filter_by(file_id=file_id).limit(1))


def is_named() -> ColumnElement[bool]:
    """Whether a version stands for an artifact of the job of a query."""
    return exists().where(ModelVersionRow.job_id == JobRow.id)
