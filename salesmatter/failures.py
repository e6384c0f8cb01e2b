"""What to tell a person when a command cannot do its work: one sentence for each foreseen failure."""

import errno

from salesmatter.errors import StartError

# Rooms are imported when something has failed, so that the command line itself comes at once.
# ruff: noqa: PLC0415


def sentence_for(error: Exception) -> str | None:
    """Return the sentence for a foreseen failure, or None for a mistake of ours, which deserves its traceback."""
    if isinstance(error, ExceptionGroup):
        return next((sentence for one in error.exceptions if (sentence := sentence_for(one))), None)
    if isinstance(error, StartError):
        return str(error)
    if isinstance(error, OSError):
        return _of_operating_system(error)
    return _of_rooms(error) or _of_settings(error) or _of_database_driver(error)


def _of_rooms(error: Exception) -> str | None:
    from ai.errors import AiError
    from api.http.clock import InvalidClock
    from api.http.errors import ApiError
    from database.errors import DatabaseError
    from domain.errors import DomainError
    from everlytic.errors import EverlyticError
    from orchestration.errors import OrchestrationError

    foreseen = (ApiError, DatabaseError, EverlyticError, AiError, DomainError, OrchestrationError, InvalidClock)
    if isinstance(error, foreseen):
        return str(error)
    return None


def _of_operating_system(error: OSError) -> str:
    place = f" ({error.filename})" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"The disk is full{place}; nothing more can be written. Make room and start again."
    if error.errno == errno.EADDRINUSE:
        return "A port is taken by another program; end that program, or choose another port."
    return f"{(error.strerror or str(error)).capitalize()}{place}."


def _of_settings(error: Exception) -> str | None:
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
            return f"The setting {variable} cannot be used: {first['msg'][:1].lower()}{first['msg'][1:]}."
    return None


def _of_database_driver(error: Exception) -> str | None:
    import psycopg
    from sqlalchemy.exc import DBAPIError

    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.errors.DiskFull):
        return "The disk of the database is full; nothing more can be stored. Make room and start again."
    if isinstance(cause, psycopg.OperationalError):
        words = (str(cause).strip().splitlines() or ["no reason given"])[0].rstrip(".")
        return f"The connection to the database failed: {words}. Check DATABASE_URL, and that the server is running."
    return None
