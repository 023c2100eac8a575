"""Alembic's entry: runs the migrations on the connection that `shared.migrate` hands over.

The newest migration and who may do what after it (`shared.database.grants`) are one transaction: a process that finds
the schema it needs may also use it, wherever whoever migrates is killed.
"""

from collections.abc import Collection, Mapping
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo

from shared.database.grants import settle
from shared.database.models import Base

newest = context.script.get_current_head()


def settle_with_newest(  # as Alembic calls it
    ctx: MigrationContext,
    step: MigrationInfo,  # noqa: ARG001
    heads: Collection[Any],
    run_args: Mapping[str, Any],  # noqa: ARG001
) -> None:
    if newest in heads and ctx.connection is not None:
        settle(ctx.connection)


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    transaction_per_migration=True,
    on_version_apply=settle_with_newest,
)
with context.begin_transaction():
    context.run_migrations()
