"""Forgetting what is old, in batches, and deleting the files that no row names any more."""

import random
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import islice

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.engine import Database
from db.retention import Forgotten, forget_events, forget_idempotency_keys, forget_jobs, forget_workers, known_keys
from db.settings import DatabaseSettings
from db.store import Store

log = structlog.get_logger()

_EVERY_SECONDS = 3600.0
_ORPHANS_AFTER = timedelta(hours=24)
_KEYS_AT_ONCE = 500


def keep_forgetting(database: Database, store: Store, settings: DatabaseSettings) -> None:
    """Forget what is old about once an hour, from a thread of its own: a round may take minutes."""

    def loop() -> None:
        while True:
            # Workers that were started together are to take turns.
            time.sleep(_EVERY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                forget_old(database, store, settings)
            except OperationalError:
                log.warning("forgetting_interrupted")

    threading.Thread(target=loop, name="forget", daemon=True).start()


def forget_old(database: Database, store: Store, settings: DatabaseSettings) -> None:
    """Delete all that is older than the settings say. May take minutes after a busy month; what an interruption leaves
    is done the next time. Raises ``OperationalError``."""
    # A job takes its remaining events with it, all in one transaction, so they go first, in batches.
    events = min(settings.keep_events, settings.keep_jobs)
    deleted = {
        "events": _all(database, store, lambda session: forget_events(session, events)),
        "jobs": _all(database, store, lambda session: forget_jobs(session, settings.keep_jobs)),
        "idempotency_keys": _all(database, store, forget_idempotency_keys),
        "workers": _all(database, store, forget_workers),
        "orphaned_files": _delete_orphans(database, store),
    }
    if any(deleted.values()):
        log.info("old_forgotten", **deleted)


def _all(database: Database, store: Store, forget: Callable[[Session], Forgotten]) -> int:
    """Repeat the batch until it finds nothing more; returns how many rows are gone."""
    total = 0
    while True:
        began = time.monotonic()
        with database.write() as session:
            batch = forget(session)
        if not batch.rows:
            return total
        total += batch.rows
        _delete_files(store, batch.keys)
        # On SQLite nobody else could write meanwhile, and leases have to be renewed.
        time.sleep(time.monotonic() - began)


def _delete_orphans(database: Database, store: Store) -> int:
    """Files that a crash left without a row, and directories without a file."""
    old = store.keys_older_than(_ORPHANS_AFTER.total_seconds())
    total = 0
    while batch := list(islice(old, _KEYS_AT_ONCE)):
        with database.read() as session:
            known = known_keys(session, batch)
        total += _delete_files(store, [key for key in batch if key not in known])
    try:
        store.delete_empty_directories(_ORPHANS_AFTER.total_seconds())
    except OSError as exc:
        log.warning("directories_not_deleted", problem=str(exc))
    return total


def _delete_files(store: Store, keys: Iterable[str]) -> int:
    """Returns how many are gone. One that can't be deleted has no row any more, so it is tried again as an orphan."""
    count = 0
    for key in keys:
        try:
            store.delete(key)
        except OSError as exc:
            log.warning("file_not_deleted", key=key, problem=str(exc))
        else:
            count += 1
    return count
