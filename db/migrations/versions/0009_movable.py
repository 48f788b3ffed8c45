"""Jobs that may be brought to another queue, and what models workers keep loaded."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_MOVABLE = sa.text("movable AND state = 'queued'")
_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("movable", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index("ix_jobs_movable", "jobs", ["queue", "kind"], sqlite_where=_MOVABLE, postgresql_where=_MOVABLE)
    op.add_column("workers", sa.Column("models", _JSON, server_default=sa.text("'[]'"), nullable=False))


def downgrade() -> None:
    op.drop_column("workers", "models")
    op.drop_index("ix_jobs_movable", table_name="jobs")
    op.drop_column("jobs", "movable")
