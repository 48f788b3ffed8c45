"""Indexes that hold only the rows that are looked for in them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Every job was entered into each of them when it was submitted, and anew at most of its changes.
_INDEXES = (
    ("ix_jobs_lease", "jobs", ["state", "lease_expires_at"], "lease_expires_at IS NOT NULL"),
    ("ix_jobs_due", "jobs", ["state", "run_at"], "state = 'waiting'"),
    ("ix_jobs_finished", "jobs", ["finished_at"], "finished_at IS NOT NULL"),
    ("ix_attempts_ended_at", "attempts", ["ended_at"], "ended_at IS NOT NULL"),
)


def upgrade() -> None:
    for name, table, columns, condition in _INDEXES:
        op.drop_index(name, table_name=table)
        op.create_index(
            name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition)
        )


def downgrade() -> None:
    for name, table, columns, _condition in _INDEXES:
        op.drop_index(name, table_name=table)
        op.create_index(name, table, columns)
