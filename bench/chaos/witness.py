"""A witness inside the database: a table that triggers fill, and that nobody can change, of every write that ends a job
or touches its result."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

_TURNOUT_SQLITE = """
CREATE TABLE chaos_witness (seq INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL, old_state TEXT,
  new_state TEXT NOT NULL, attempt INTEGER NOT NULL, new_result INTEGER NOT NULL, at REAL NOT NULL)
;;
CREATE TRIGGER chaos_witness_jobs AFTER UPDATE ON jobs
WHEN NEW.result IS NOT OLD.result
  OR (NEW.state IS NOT OLD.state AND NEW.state IN ('succeeded', 'failed', 'cancelled'))
  OR (OLD.state IN ('succeeded', 'failed', 'cancelled')
      AND (NEW.state IS NOT OLD.state OR NEW.attempt IS NOT OLD.attempt OR NEW.reason IS NOT OLD.reason
           OR NEW.finished_at IS NOT OLD.finished_at))
BEGIN
  INSERT INTO chaos_witness (job_id, old_state, new_state, attempt, new_result, at)
  VALUES (NEW.id, OLD.state, NEW.state, NEW.attempt, NEW.result IS NOT OLD.result,
          (julianday('now') - 2440587.5) * 86400.0);
END
;;
CREATE TRIGGER chaos_witness_kept BEFORE UPDATE ON chaos_witness
BEGIN SELECT RAISE(ABORT, 'the witness is never changed'); END
;;
CREATE TRIGGER chaos_witness_whole BEFORE DELETE ON chaos_witness
BEGIN SELECT RAISE(ABORT, 'the witness is never changed'); END
"""
_POSTGRESQL = """
CREATE TABLE chaos_witness (seq BIGSERIAL PRIMARY KEY, job_id TEXT NOT NULL, old_state TEXT, new_state TEXT NOT NULL,
  attempt INTEGER NOT NULL, new_result BOOLEAN NOT NULL, at DOUBLE PRECISION NOT NULL)
;;
CREATE FUNCTION chaos_witness_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the witness is never changed'; END $$
;;
CREATE TRIGGER chaos_witness_kept BEFORE UPDATE OR DELETE ON chaos_witness
FOR EACH ROW EXECUTE FUNCTION chaos_witness_keeps()
"""
_TURNOUT_POSTGRESQL = (
    _POSTGRESQL
    + """
;;
CREATE FUNCTION chaos_witness_sees() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO chaos_witness (job_id, old_state, new_state, attempt, new_result, at)
  VALUES (NEW.id, OLD.state, NEW.state, NEW.attempt, NEW.result IS DISTINCT FROM OLD.result,
          extract(epoch FROM clock_timestamp()));
  RETURN NULL;
END $$
;;
CREATE TRIGGER chaos_witness_jobs AFTER UPDATE ON jobs FOR EACH ROW
WHEN (NEW.result IS DISTINCT FROM OLD.result
  OR (NEW.state IS DISTINCT FROM OLD.state AND NEW.state IN ('succeeded', 'failed', 'cancelled'))
  OR (OLD.state IN ('succeeded', 'failed', 'cancelled')
      AND (NEW.state IS DISTINCT FROM OLD.state OR NEW.attempt IS DISTINCT FROM OLD.attempt
           OR NEW.reason IS DISTINCT FROM OLD.reason OR NEW.finished_at IS DISTINCT FROM OLD.finished_at)))
EXECUTE FUNCTION chaos_witness_sees()
"""
)
_CELERY_SQLITE = """
CREATE TABLE chaos_witness (seq INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL, old_state TEXT,
  new_state TEXT NOT NULL, attempt INTEGER NOT NULL, new_result INTEGER NOT NULL, at REAL NOT NULL)
;;
CREATE TRIGGER chaos_witness_inserted AFTER INSERT ON celery_taskmeta
WHEN NEW.status IN ('SUCCESS', 'FAILURE', 'REVOKED')
BEGIN
  INSERT INTO chaos_witness (job_id, old_state, new_state, attempt, new_result, at)
  VALUES (NEW.task_id, NULL, NEW.status, 0, NEW.result IS NOT NULL, (julianday('now') - 2440587.5) * 86400.0);
END
;;
CREATE TRIGGER chaos_witness_updated AFTER UPDATE ON celery_taskmeta
WHEN NEW.status IN ('SUCCESS', 'FAILURE', 'REVOKED')
BEGIN
  INSERT INTO chaos_witness (job_id, old_state, new_state, attempt, new_result, at)
  VALUES (NEW.task_id, OLD.status, NEW.status, 0, NEW.result IS NOT OLD.result,
          (julianday('now') - 2440587.5) * 86400.0);
END
"""
_CELERY_POSTGRESQL = (
    _POSTGRESQL
    + """
;;
CREATE FUNCTION chaos_witness_sees() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO chaos_witness (job_id, old_state, new_state, attempt, new_result, at)
  VALUES (NEW.task_id, CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE OLD.status END, NEW.status, 0, true,
          extract(epoch FROM clock_timestamp()));
  RETURN NULL;
END $$
;;
CREATE TRIGGER chaos_witness_tasks AFTER INSERT OR UPDATE ON celery_taskmeta FOR EACH ROW
WHEN (NEW.status IN ('SUCCESS', 'FAILURE', 'REVOKED')) EXECUTE FUNCTION chaos_witness_sees()
"""
)
_STATEMENTS = {
    ("jobs", "sqlite"): _TURNOUT_SQLITE,
    ("jobs", "postgresql"): _TURNOUT_POSTGRESQL,
    ("celery_taskmeta", "sqlite"): _CELERY_SQLITE,
    ("celery_taskmeta", "postgresql"): _CELERY_POSTGRESQL,
}
FINAL_STATES = frozenset({"succeeded", "failed", "cancelled", "SUCCESS", "FAILURE", "REVOKED"})


@dataclass(frozen=True)
class Write:
    """A write that ended a job, touched its result, or touched a job that had ended. ``at`` is the wall clock's."""

    job_id: str
    old_state: str | None
    new_state: str
    attempt: int
    new_result: bool
    at: float

    @property
    def ends(self) -> bool:
        return self.new_state in FINAL_STATES and self.old_state not in FINAL_STATES

    @property
    def is_late(self) -> bool:
        """Whether the job had ended before."""
        return self.old_state in FINAL_STATES


def station(engine: Engine, table: str) -> None:
    """Make the witness of ``jobs`` (Turnout) or ``celery_taskmeta`` (Celery)."""
    with engine.begin() as connection:
        for statement in _STATEMENTS[table, engine.dialect.name].split(";;"):
            connection.exec_driver_sql(statement)


def writes_seen(connection: Connection) -> Sequence[Write]:
    query = "SELECT job_id, old_state, new_state, attempt, new_result, at FROM chaos_witness ORDER BY seq"
    return [
        Write(job_id, old_state, new_state, attempt, bool(new_result), float(at))
        for job_id, old_state, new_state, attempt, new_result, at in connection.execute(text(query))
    ]


def count_ended(connection: Connection) -> int:
    """How many writes there are so far; a sign that something still comes to its end."""
    return int(connection.execute(text("SELECT count(*) FROM chaos_witness")).scalar_one())
