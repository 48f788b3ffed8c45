"""named models"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

import db.clock

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("owner_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.Column("created_at", db.clock.UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_models_owner_id")),
        sa.PrimaryKeyConstraint("owner_id", "name", name=op.f("pk_models")),
    )
    op.create_table(
        "model_versions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("owner_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.String(length=36), nullable=True),
        sa.Column("job_id", sa.String(length=36), nullable=True),
        sa.Column("artifact", sa.String(length=200), nullable=True),
        sa.Column("hub", sa.String(length=200), nullable=True),
        sa.Column("revision", sa.String(length=255), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column(
            "tags",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("created_at", db.clock.UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id", "name"], ["models.owner_id", "models.name"], name=op.f("fk_model_versions_owner_id_name")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_model_versions_file_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_model_versions_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_versions")),
        sa.UniqueConstraint("owner_id", "name", "version", name=op.f("uq_model_versions_owner_id_name_version")),
    )
    op.create_index(op.f("ix_model_versions_file_id"), "model_versions", ["file_id"])
    op.create_index(op.f("ix_model_versions_job_id"), "model_versions", ["job_id"])
    op.create_table(
        "job_models",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("model_version_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_models_job_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name=op.f("fk_job_models_model_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "model_version_id", name=op.f("pk_job_models")),
    )
    op.create_index(op.f("ix_job_models_model_version_id"), "job_models", ["model_version_id"])


def downgrade() -> None:
    op.drop_table("job_models")
    op.drop_table("model_versions")
    op.drop_table("models")
