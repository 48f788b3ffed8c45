"""retries"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("retry_of", sa.String(length=36), nullable=True))


def downgrade() -> None:
    # Not as a batch: SQLite would make the table anew, and dropping the old one deletes every attempt, event and
    # artifact that refers to it.
    op.drop_column("jobs", "retry_of")
