"""Start-time fair queueing (Goyal et al., 1996): tags that make the owners of one queue take turns.

Jobs of different precedence never take turns, so each precedence of a queue has a virtual time of its own, which is
the highest tag that was claimed. An owner's tags follow each other, but never lie behind the virtual time: an idle
owner saves up no turns, and a busy one crowds nobody out. A job is given its tag when it is first queued; a retry keeps
it.
"""

from collections.abc import Mapping, Sequence
from functools import cache

from sqlalchemy import BigInteger, bindparam, case, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from db.rows import FairClockRow, JobRow, QueueClockRow

# Built once, since that takes longer than running it.
_VIRTUAL_TIME = select(QueueClockRow.virtual_time).where(
    QueueClockRow.queue == bindparam("of_queue"), QueueClockRow.precedence == bindparam("of_precedence")
)
_BEHIND = (
    select(QueueClockRow.queue)
    .where(
        QueueClockRow.queue == bindparam("of_queue"),
        QueueClockRow.precedence == bindparam("of_precedence"),
        QueueClockRow.virtual_time < bindparam("tag"),
    )
    .with_for_update(skip_locked=True)
)
_RAISE = (
    update(QueueClockRow)
    .where(QueueClockRow.queue.in_(_BEHIND), QueueClockRow.precedence == bindparam("of_precedence"))
    .values(virtual_time=bindparam("tag"))
)


def reserve_tags(session: Session, owner_id: str, queue: str, precedence: int, count: int) -> range:
    """The owner's next ``count`` tags. Locks the owner's clock; who reserves for several does so in sorted order."""
    connection = session.connection()
    insert = _INSERTS[connection.dialect.name]
    of = {"of_queue": queue, "of_precedence": precedence}
    now = connection.execute(_VIRTUAL_TIME, of).scalar()
    if now is None:
        first = insert(QueueClockRow).values(queue=queue, precedence=precedence, virtual_time=0)
        connection.execute(first.on_conflict_do_nothing())
    reserved = {"of_owner": owner_id, "now": now or 0, "first_last": (now or 0) + count - 1, "number": count}
    last = connection.execute(_reserving(connection.dialect.name), {**of, **reserved}).scalar_one()
    return range(last - count + 1, last + 1)


def pass_time(session: Session, claimed: Sequence[JobRow]) -> None:
    """Raise the virtual times to the tags of jobs that were just claimed; to be called last in the transaction."""
    highest: dict[tuple[str, int], int] = {}
    for job in claimed:
        key = job.queue, job.precedence
        highest[key] = max(job.fair_tag, highest.get(key, 0))
    connection = session.connection()
    for (queue, precedence), fair_tag in highest.items():
        # A clock that another claim is just raising is left to it: claims must not wait for each other, and the next
        # one catches up on the few tags between.
        connection.execute(_RAISE, {"of_queue": queue, "of_precedence": precedence, "tag": fair_tag})


@cache
def _reserving(dialect: str) -> ReturningInsert[int]:
    """One statement, since an owner's first two submissions may come at once."""
    first_last = bindparam("first_last", type_=BigInteger)
    values = {
        "owner_id": bindparam("of_owner"),
        "queue": bindparam("of_queue"),
        "precedence": bindparam("of_precedence"),
        "last_tag": first_last,
    }
    behind = FairClockRow.last_tag < bindparam("now", type_=BigInteger)
    following = FairClockRow.last_tag + bindparam("number", type_=BigInteger)
    return (
        _INSERTS[dialect](FairClockRow)
        .values(values)
        .on_conflict_do_update(
            index_elements=[FairClockRow.owner_id, FairClockRow.queue, FairClockRow.precedence],
            set_={"last_tag": case((behind, first_last), else_=following)},
        )
        .returning(FairClockRow.last_tag)
    )


# An INSERT that can say what to do on a conflict; each dialect has its own.
_INSERTS: Mapping[str, type[postgresql.Insert] | type[sqlite.Insert]] = {
    "sqlite": sqlite.Insert,
    "postgresql": postgresql.Insert,
}
