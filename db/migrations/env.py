"""Runs migrations on the connection that ``db.schema`` hands over."""

from alembic import context

from db.rows import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    render_as_batch=True,
    compare_type=True,
    user_module_prefix="db.clock.",
)
with context.begin_transaction():
    context.run_migrations()
