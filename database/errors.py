"""The errors of the database room: each names what is wrong and what to do."""


class DatabaseError(Exception):
    """Something about the database stops the work."""


class InvalidDatabaseUrl(DatabaseError):
    """DATABASE_URL cannot be used as it is."""


class DatabaseUnreachable(DatabaseError):
    """No connection to the database could be made."""


class SchemaOutOfDate(DatabaseError):
    """The schema in the database is not the one this code was written for."""


class MissingPrivilege(DatabaseError):
    """The owner role may not do what migrating needs."""
