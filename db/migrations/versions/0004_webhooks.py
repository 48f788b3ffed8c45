"""webhooks"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

import db.clock

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_UNTOLD = (
    "webhook <> 'told' AND (finished_at IS NOT NULL"
    " OR (webhook = 'state' AND (state <> webhook_state OR attempt <> webhook_attempt)))"
)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("webhook", sa.String(length=10), nullable=True))
    op.add_column("jobs", sa.Column("webhook_state", sa.String(length=20), nullable=True))
    op.add_column("jobs", sa.Column("webhook_attempt", sa.Integer(), nullable=True))
    op.create_index(
        "ix_jobs_untold", "jobs", ["id"], sqlite_where=sa.text(_UNTOLD), postgresql_where=sa.text(_UNTOLD)
    )
    op.create_table(
        "webhooks",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("host", sa.String(length=300), nullable=False),
        sa.Column(
            "events",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("known_seq", sa.Integer(), nullable=False),
        sa.Column("told_seq", sa.Integer(), nullable=False),
        sa.Column("due_at", db.clock.UtcTime(timezone=True), nullable=True),
        sa.Column("lease_id", sa.String(length=36), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("delivered", sa.Integer(), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("last_try_at", db.clock.UtcTime(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_problem", sa.Text(), nullable=True),
        sa.Column("ended", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_webhooks_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_webhooks")),
    )
    op.create_index(
        "ix_webhooks_due",
        "webhooks",
        ["host", "due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("owner_id", sa.String(length=36), nullable=False),
        sa.Column("secret", sa.String(length=100), nullable=False),
        sa.Column("created_at", db.clock.UtcTime(timezone=True), nullable=False),
        sa.Column("expires_at", db.clock.UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_webhook_secrets_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secrets")),
    )
    op.create_index(op.f("ix_webhook_secrets_owner_id"), "webhook_secrets", ["owner_id"])


def downgrade() -> None:
    op.drop_table("webhook_secrets")
    op.drop_table("webhooks")
    op.drop_index("ix_jobs_untold", table_name="jobs")
    # Not as a batch: SQLite would make the table anew, and dropping the old one deletes all that refers to it.
    for column in ("webhook_attempt", "webhook_state", "webhook"):
        op.drop_column("jobs", column)
