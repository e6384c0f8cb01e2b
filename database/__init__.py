"""Database models, migrations, row-level security, and the embedded Postgres server."""
