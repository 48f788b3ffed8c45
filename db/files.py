"""Uploaded files."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.ids import new_id
from db.named_models import name_of_file
from db.rows import FileRow, JobFileRow, JobRow
from db.states import OPEN_STATES
from db.store import Stored


class FileInUse(Exception):
    """An open job reads the file; ``args[0]`` is the job's id."""


class FileNamed(Exception):
    """A named model stands for the file; ``args`` are its name and version."""


def add_file(session: Session, *, owner_id: str, name: str, media_type: str, key: str, stored: Stored) -> FileRow:
    """Record a file that lies finished in the store under ``key``."""
    row = FileRow(id=new_id(), owner_id=owner_id, name=name, media_type=media_type, key=key, **vars(stored))
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def find_file(session: Session, file_id: str, owner_id: str | None) -> FileRow | None:
    """The file, if it belongs to the owner (None: whoever it belongs to)."""
    row = session.get(FileRow, file_id)
    return None if row is None or (owner_id is not None and row.owner_id != owner_id) else row


def list_files(session: Session, owner_id: str | None, limit: int, before_id: str | None = None) -> Sequence[FileRow]:
    """Newest first."""
    query = select(FileRow).order_by(FileRow.id.desc()).limit(limit)
    if owner_id is not None:
        query = query.where(FileRow.owner_id == owner_id)
    if before_id is not None:
        query = query.where(FileRow.id < before_id)
    return session.scalars(query).all()


def known_look(session: Session, file_id: str) -> dict[str, Any] | None:
    """What a look at the file found; None if nobody looked yet."""
    return session.scalar(select(FileRow.look).where(FileRow.id == file_id))


def keep_look(session: Session, file_id: str, look: dict[str, Any]) -> None:
    """Keep what a look at the file found, if the file is still there."""
    session.execute(update(FileRow).where(FileRow.id == file_id).values(look=look))


def delete_file(session: Session, row: FileRow) -> str:
    """Delete the row and return its store key, to be deleted after the commit. Raises ``FileInUse`` and
    ``FileNamed``."""
    session.refresh(row, with_for_update=True)
    user = session.scalar(
        select(JobRow.id)
        .join(JobFileRow, JobFileRow.job_id == JobRow.id)
        .where(JobFileRow.file_id == row.id, JobRow.state.in_(OPEN_STATES))
        .limit(1)
    )
    if user is not None:
        raise FileInUse(user)
    named = name_of_file(session, row.id)
    if named is not None:
        raise FileNamed(named.name, named.version)
    session.delete(row)
    session.flush()
    return row.key
