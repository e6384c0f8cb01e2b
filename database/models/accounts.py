"""Who may come in: accounts, their users and their API keys."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, Created, Identified, Timestamped, one_of


class UserRole(StrEnum):
    """What a user may do: admins also manage users, keys, connections and the deletion of workspaces."""

    ADMIN = "admin"
    MEMBER = "member"


class Account(Identified, Timestamped, Base):
    """A customer: the owner of users, keys and workspaces."""

    __tablename__ = "accounts"

    name: Mapped[str]


class User(Identified, Timestamped, Base):
    """A person of an account."""

    __tablename__ = "users"
    __table_args__ = (
        one_of("role", UserRole),
        Index("uq_users_account_id_email", "account_id", text("lower(email)"), unique=True),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("app.accounts.id", ondelete="CASCADE"))
    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    subject_hash: Mapped[str | None] = mapped_column(unique=True)
    """Whom an OpenID Connect issuer's token stands for, hashed with the issuer's name; set at the first login."""


class ApiKey(Identified, Created, Base):
    """A key a program comes in with: shown once, stored as its SHA-256."""

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "account_id"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("app.accounts.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("app.users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(unique=True)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class IdempotencyKey(Identified, Created, Base):
    """A POST that a user made under an Idempotency-Key, and the answer it had; kept for a day."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("uq_idempotency_keys_user_id_key", "user_id", "key", unique=True),
        Index(None, "account_id", "created_at"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("app.accounts.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("app.users.id", ondelete="CASCADE"))
    key: Mapped[str]
    fingerprint: Mapped[str]
    """The digest of what was asked: method, path, query and body."""
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None]
    encrypted_body: Mapped[str | None]
