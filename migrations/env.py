"""Run by Alembic, on the connection `aemon.store.schema.revisions` hands over."""

from alembic import context

from aemon.store.schema.revisions import is_ours
from aemon.store.schema.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    include_object=is_ours,
    render_as_batch=True,  # SQLite cannot alter most things in place
)
with context.begin_transaction():
    context.run_migrations()
