"""The SQL of authentication."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from database.direct import Record, fetch
from database.models import User
from database.tenancy import RANDOM_PAGE_COST, STATEMENT_TIMEOUT

_AUTHENTICATE = """
    SELECT entered.account_id AS of_account, entered.user_id, entered.role AS of_user, (entered.workspace).*
      FROM app.authenticate_credential(%s, %s, %s, %s) AS entered
"""


@dataclass(frozen=True, slots=True)
class AuthenticatedCredential:
    """The user whose scope a transaction has entered, and the row of the requested workspace if it is theirs."""

    account_id: UUID
    user_id: UUID
    role: str
    workspace: Record | None


async def authenticate_credential(
    session: AsyncSession, credential_hash: str, workspace_id: UUID | None
) -> AuthenticatedCredential | None:
    """Enter the scope of the user of a credential, and of the workspace if it is theirs; None if it is unknown."""
    parameters = (credential_hash, workspace_id, STATEMENT_TIMEOUT, RANDOM_PAGE_COST)
    rows = await fetch(session, _AUTHENTICATE, parameters)
    if not rows:
        return None
    (row,) = rows
    account_id, user_id, role = row.pop("of_account"), row.pop("user_id"), row.pop("of_user")
    return AuthenticatedCredential(account_id, user_id, role, row if row["id"] is not None else None)


async def list_users_with_email(session: AsyncSession, address: str) -> list[User]:
    """Return the users of any account with this address; the transaction must carry it as verified."""
    return list((await session.scalars(select(User).where(func.lower(User.email) == address))).all())


async def link_subject(session: AsyncSession, user_id: UUID, subject_hash: str) -> None:
    """Store a token's subject for a user who has none; the subject of another user raises IntegrityError."""
    statement = update(User).where(User.id == user_id, User.subject_hash.is_(None))
    await session.execute(statement.values(subject_hash=subject_hash))
