"""Errors of the database package; each message says what is wrong and what to do."""


class DatabaseError(Exception):
    """Base class of all database errors."""


class InvalidDatabaseUrl(DatabaseError):
    """DATABASE_URL is not usable."""


class DatabaseUnreachable(DatabaseError):
    """The database cannot be reached."""


class SchemaOutOfDate(DatabaseError):
    """The database schema does not match this code."""


class MissingPrivilege(DatabaseError):
    """The owner role lacks a privilege that migrations need."""
