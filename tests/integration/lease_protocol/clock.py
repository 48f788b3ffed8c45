"""The database's clock in a test's hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, event

from db.engine import Database


class HeldClock:
    """Stands still until it is told to pass. Puts a moment in the place of every ``db_now()`` that is sent to the
    database, so the product's own statements run, and no test waits for a lease to lapse."""

    def __init__(self, database: Database) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self._database = database
        for engine in self._engines():
            event.listen(engine, "before_cursor_execute", self._set, retval=True)

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def let_go(self) -> None:
        for engine in self._engines():
            event.remove(engine, "before_cursor_execute", self._set)

    def _engines(self) -> set[Engine]:
        return {self._database.writing_engine, self._database.reading_engine}

    def _set(self, _c: Any, _cursor: Any, sql: str, values: Any, _context: Any, _many: bool) -> tuple[str, Any]:
        moment = f"{self.now:%Y-%m-%d %H:%M:%S}.{self.now.microsecond // 1000:03}"
        sql = sql.replace("clock_timestamp()", f"timestamptz '{moment}+00'")
        return sql.replace("'now'", f"'{moment}'"), values
