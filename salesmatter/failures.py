"""Turns expected errors into one sentence for the person who ran the command."""

import errno

from salesmatter.errors import StartError

# Packages are imported only after a failure, so that the command line starts fast.
# ruff: noqa: PLC0415


def describe_error(error: Exception) -> str | None:
    """Return a sentence for an expected error, or None for a bug, which needs its traceback."""
    if isinstance(error, ExceptionGroup):
        return next((sentence for cause in error.exceptions if (sentence := describe_error(cause))), None)
    if isinstance(error, StartError):
        return str(error)
    if isinstance(error, OSError):
        return _describe_os_error(error)
    return _describe_package_error(error) or _describe_settings_error(error) or _describe_database_error(error)


def _describe_package_error(error: Exception) -> str | None:
    from ai.errors import AiError
    from api.http.errors import ApiError
    from database.errors import DatabaseError
    from domain.clock import InvalidClock
    from domain.errors import DomainError
    from everlytic.errors import EverlyticError
    from orchestration.errors import OrchestrationError

    foreseen = (ApiError, DatabaseError, EverlyticError, AiError, DomainError, OrchestrationError, InvalidClock)
    if isinstance(error, foreseen):
        return str(error)
    return None


def _describe_os_error(error: OSError) -> str:
    path = f" ({error.filename})" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"The disk is full{path}. Free some space and start again."
    if error.errno == errno.EADDRINUSE:
        return "A port is used by another program. Stop that program, or choose another port."
    return f"{(error.strerror or str(error)).capitalize()}{path}."


def _describe_settings_error(error: Exception) -> str | None:
    from pydantic import ValidationError

    from ai.settings import AiSettings
    from api.settings import ApiSettings, OidcSettings
    from database.settings import DatabaseSettings
    from orchestration.settings import OrchestrationSettings

    if not isinstance(error, ValidationError):
        return None
    for settings in (ApiSettings, OidcSettings, AiSettings, DatabaseSettings, OrchestrationSettings):
        if error.title == settings.__name__:
            first = error.errors(include_input=False)[0]
            prefix = settings.model_config.get("env_prefix", "")
            variable = (prefix + "_".join(str(part) for part in first["loc"])).upper()
            return f"Invalid value for {variable}: {first['msg'][:1].lower()}{first['msg'][1:]}."
    return None


def _describe_database_error(error: Exception) -> str | None:
    import psycopg
    from sqlalchemy.exc import DBAPIError

    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.errors.DiskFull):
        return "The disk of the database is full. Free some space and start again."
    if isinstance(cause, psycopg.OperationalError):
        reason = (str(cause).strip().splitlines() or ["no reason given"])[0].rstrip(".")
        return f"The connection to the database failed: {reason}. Check DATABASE_URL, and that the server is running."
    return None
