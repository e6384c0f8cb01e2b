"""Where the database is: read at the doors, passed down."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from database.errors import InvalidDatabaseUrl


class DatabaseSettings(BaseSettings):
    """Environment of the database; without `DATABASE_URL` the embedded server is started."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    database_url: SecretStr | None = None
    """The owner's URL, pooled or direct: it migrates, and the other roles' passwords derive from its own."""
    database_url_unpooled: SecretStr | None = None
    """A direct URL where `database_url` goes through a pooler; for migrations and LISTEN."""
    salesmatter_postgres_bin: Path | None = None
    """A folder with other Postgres binaries for the embedded server."""

    def owner_url(self) -> str:
        """Return the owner's URL; raises InvalidDatabaseUrl when none is set."""
        if self.database_url is None:
            raise InvalidDatabaseUrl(
                "DATABASE_URL is not set. Set it, or start with `salesmatter up`, which provides one."
            )
        return self.database_url.get_secret_value()

    def direct_url(self) -> str:
        """Return the owner's URL that bypasses a pooler, or the only one there is."""
        return self.database_url_unpooled.get_secret_value() if self.database_url_unpooled else self.owner_url()
