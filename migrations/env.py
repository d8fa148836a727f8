"""Alembic's entry: migrates over the connection that it is given, in that connection's transaction."""

from __future__ import annotations

from alembic import context


def run() -> None:
    """Run the migrations that alembic has planned."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=context.config.attributes.get("metadata"),
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=False,  # the caller's transaction holds all of it
    )
    context.run_migrations()


run()
