"""Authenticates an API key or a verified token and enters the scope of its user."""

from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.authentication import repository
from api.http.authentication.errors import InvalidCredential
from api.http.authentication.tokens import Claims
from database.direct import Record
from database.models import UserRole, Workspace
from database.secrets import hash_credential
from database.tenancy import Scope, enter_scope

KEY_PREFIX = "sm_"


@dataclass(frozen=True)
class Identity:
    """The calling user, and the row of the requested workspace if it is theirs."""

    account_id: UUID
    user_id: UUID
    role: UserRole
    row: Record | None

    @property
    def workspace_id(self) -> UUID | None:
        """The id of the requested workspace, if it is theirs."""
        return self.row["id"] if self.row is not None else None

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace, which must be theirs; built at first use, because most requests need only its id."""
        return Workspace(**(self.row or {}))


async def authenticate(session: AsyncSession, credential: str | Claims, workspace_id: UUID | None) -> Identity:
    """Return the user of an API key or a verified token, and enter their scope; raises InvalidCredential."""
    hashed = hash_subject(credential) if isinstance(credential, Claims) else hash_credential(credential)
    entered = await repository.authenticate_credential(session, hashed, workspace_id)
    if entered is None and isinstance(credential, Claims):
        await _link_subject(session, credential, hashed)
        entered = await repository.authenticate_credential(session, hashed, workspace_id)
        if entered is None:
            raise InvalidCredential(
                "The user with the token's email address has another subject at this issuer. "
                "Ask an admin of the account to delete this user and add them again."
            )
    if entered is None:
        raise InvalidCredential("This API key is unknown or revoked.")
    return Identity(entered.account_id, entered.user_id, UserRole(entered.role), entered.workspace)


async def _link_subject(session: AsyncSession, claims: Claims, hashed: str) -> None:
    """Store a token's subject at the first login for the user with the address that the issuer verified.

    From then on only the subject counts, so that a new owner of the address cannot log in as this user.
    """
    address = claims.verified_email
    if address is None:
        raise InvalidCredential("No user has the token's subject, and the token carries no verified email address.")
    await enter_scope(session, Scope(verified_email=address))
    users = await repository.list_users_with_email(session, address)
    if not users:
        raise InvalidCredential("No user has the token's email address. Ask an admin of the account to add you.")
    if len(users) > 1:
        raise InvalidCredential("Users of several accounts have the token's email address. Use an API key.")
    (user,) = users
    await enter_scope(session, Scope(account_id=user.account_id))
    try:
        # The second of two simultaneous first logins waits here for the first, and then has the stored subject.
        await repository.link_subject(session, user.id, hashed)
    except IntegrityError as error:
        raise InvalidCredential(
            "The token's subject was linked to another user at the same time. Try again."
        ) from error


def hash_subject(claims: Claims) -> str:
    """Return the hash that stands for a token's user: issuer and subject together."""
    return hash_credential(f"{claims.issuer}\n{claims.subject}")
