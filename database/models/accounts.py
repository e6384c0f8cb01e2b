"""Accounts, users, API keys and idempotency keys."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAtMixin, IdMixin, TimestampMixin, enum_check


class UserRole(StrEnum):
    """The permissions of a user; admins also manage users, keys and connections, and delete workspaces."""

    ADMIN = "admin"
    MEMBER = "member"


class Account(IdMixin, TimestampMixin, Base):
    """A customer, which owns users, keys and workspaces."""

    __tablename__ = "accounts"

    name: Mapped[str]


class User(IdMixin, TimestampMixin, Base):
    """A user of an account."""

    __tablename__ = "users"
    __table_args__ = (
        enum_check("role", UserRole),
        Index("uq_users_account_id_email", "account_id", text("lower(email)"), unique=True),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("app.accounts.id", ondelete="CASCADE"))
    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    subject_hash: Mapped[str | None] = mapped_column(unique=True)
    """The hash of the OpenID Connect issuer and subject; set at the first login."""


class ApiKey(IdMixin, CreatedAtMixin, Base):
    """An API key: shown once, stored as its SHA-256."""

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "account_id"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("app.accounts.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("app.users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(unique=True)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class IdempotencyKey(IdMixin, CreatedAtMixin, Base):
    """A POST request with an Idempotency-Key and its response; deleted after a day."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("uq_idempotency_keys_user_id_key", "user_id", "key", unique=True),
        Index(None, "account_id", "created_at"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("app.accounts.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("app.users.id", ondelete="CASCADE"))
    key: Mapped[str]
    fingerprint: Mapped[str]
    """The digest of the request: method, path, query and body."""
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None]
    encrypted_body: Mapped[str | None]
