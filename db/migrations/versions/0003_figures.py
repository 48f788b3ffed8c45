"""figures"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_jobs_oldest",
        "jobs",
        ["queue", "state", "queued_at"],
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(op.f("ix_attempts_ended_at"), "attempts", ["ended_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_attempts_ended_at"), table_name="attempts")
    op.drop_index("ix_jobs_oldest", table_name="jobs")
