"""Reads the database settings from the environment."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from database.errors import InvalidDatabaseUrl


class DatabaseSettings(BaseSettings):
    """Database settings; without `DATABASE_URL` the embedded server is started."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    database_url: SecretStr | None = None
    """The owner's URL, pooled or direct; the passwords of the other roles derive from its password."""
    database_url_unpooled: SecretStr | None = None
    """A direct URL for migrations and LISTEN when `database_url` goes through a pooler."""
    salesmatter_postgres_bin: Path | None = None
    """A directory with other Postgres programs for the embedded server."""

    def owner_url(self) -> str:
        """Return the owner's URL; raises InvalidDatabaseUrl when none is set."""
        if self.database_url is None:
            raise InvalidDatabaseUrl("Set DATABASE_URL, or start with `salesmatter up`, which provides a database.")
        return self.database_url.get_secret_value()

    def direct_url(self) -> str:
        """Return the owner's URL that bypasses the pooler, or `owner_url` when only that is set."""
        return self.database_url_unpooled.get_secret_value() if self.database_url_unpooled else self.owner_url()
