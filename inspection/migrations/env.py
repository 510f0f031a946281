"""Run by Alembic: `inspection.archive` hands over an open connection."""

from alembic import context

from inspection.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=True
)
with context.begin_transaction():
    context.run_migrations()
