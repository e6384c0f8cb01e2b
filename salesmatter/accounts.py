"""Creates an account with its first user and API key."""

from pydantic import TypeAdapter, ValidationError

from api.accounts import service
from api.accounts.service import NewAccount
from api.http.fields import EmailAddress, Name
from database.engine import create_pool
from database.roles import APP_ROLE, role_url
from database.tenancy import Scope, transaction
from salesmatter.errors import StartError
from salesmatter.stack import Database


async def create_account(database: Database, *, name: str, email: str, user_name: str) -> NewAccount:
    """Create an account with one admin and one API key; raises StartError for an invalid name or email address."""
    try:
        TypeAdapter(Name).validate_python(name)
        address = TypeAdapter(EmailAddress).validate_python(email)
    except ValidationError as error:
        raise StartError(
            f"The account cannot be created: {error.errors()[0]['msg'].removeprefix('Value error, ').rstrip('.')}."
        ) from error
    pool = create_pool(role_url(database.owner, APP_ROLE), size=1, application_name="salesmatter-accounts")
    try:
        async with transaction(pool, Scope()) as session:
            return await service.create_account(session, name=name, user_name=user_name, email=address)
    finally:
        await pool.dispose()
