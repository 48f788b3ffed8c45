"""The columns of uploaded tables: looked at once, then known."""

from pathlib import PurePath
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool

from api.lookers import LookFailed
from api.services import Services
from db.files import keep_look, known_look
from db.rows import FileRow
from tasks.tables.schema import TableSchema

log = structlog.get_logger()

_TABLES = frozenset({".csv", ".tsv", ".parquet", ".pq"})
_TABLE_TYPES = frozenset({"text/csv", "text/tab-separated-values", "application/vnd.apache.parquet"})
# What may be a table, and is shown as one only if it can be read as one.
_TEXTS = frozenset({"", ".txt", ".dat", ".data", ".tab"})
_TEXT_TYPES = frozenset({"text/plain", "application/octet-stream", "application/gzip", "application/x-gzip"})


async def table_of(services: Services, row: FileRow) -> TableSchema | None:
    """What training would see in a file; None if it is no table."""
    if not _may_be_table(row):
        return None
    known = await run_in_threadpool(_known, services, row.id)
    if known is not None:
        return None if known["table"] is None else TableSchema.model_validate(known["table"])
    try:
        found = await services.lookers.look_at(services.store.path(row.key))
    except LookFailed as exc:
        log.warning("table_look_failed", file_id=row.id, cause=str(exc))
        return _unknown(row)
    table = found if _is_declared(row) or _is_plain_table(found) else None
    await run_in_threadpool(_keep, services, row.id, table)
    return table


def _known(services: Services, file_id: str) -> dict[str, Any] | None:
    with services.database.read() as session:
        return known_look(session, file_id)


def _keep(services: Services, file_id: str, table: TableSchema | None) -> None:
    with services.database.write() as session:
        keep_look(session, file_id, {"table": None if table is None else table.model_dump(mode="json")})


def _suffix(row: FileRow) -> str:
    return PurePath(row.name.lower().removesuffix(".gz")).suffix


def _is_declared(row: FileRow) -> bool:
    """Whether whoever uploaded the file calls it a table."""
    return _suffix(row) in _TABLES or row.media_type in _TABLE_TYPES


def _may_be_table(row: FileRow) -> bool:
    return _is_declared(row) or (_suffix(row) in _TEXTS and row.media_type in _TEXT_TYPES)


def _is_plain_table(found: TableSchema) -> bool:
    return found.problem is None and found.column_count > 1


def _unknown(row: FileRow) -> TableSchema | None:
    """Nothing is known of the file; ask again later."""
    if not _is_declared(row):
        return None
    return TableSchema(
        format="parquet" if _suffix(row) in (".parquet", ".pq") else "csv",
        rows=0,
        rows_are_exact=False,
        column_count=0,
        columns=[],
        problem="The server could not look at the file within its limits; ask again, or let a job read it.",
    )
