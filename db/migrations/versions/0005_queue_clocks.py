"""Queue clocks that are there from the start."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_QUEUES = ("cpu", "gpu", "h2o", "remote")
_PRECEDENCES = range(10)


def upgrade() -> None:
    """The first job of a queue and precedence would insert its clock, and everybody's next one wait for its commit."""
    clocks = sa.table(
        "queue_clocks", sa.column("queue", sa.String), sa.column("precedence", sa.Integer), sa.column("virtual_time", sa.BigInteger)
    )
    there = {tuple(row) for row in op.get_bind().execute(sa.select(clocks.c.queue, clocks.c.precedence))}
    missing = [
        {"queue": queue, "precedence": precedence, "virtual_time": 0}
        for queue in _QUEUES
        for precedence in _PRECEDENCES
        if (queue, precedence) not in there
    ]
    op.bulk_insert(clocks, missing)


def downgrade() -> None:
    """Nothing is to be undone: each clock would have come with its first job."""
