"""The IMAP mailboxes from which replies are read."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, IdMixin, TimestampMixin, enum_check


class MailboxSecurity(StrEnum):
    """The encryption of the connection to an IMAP server."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


class Mailbox(IdMixin, TimestampMixin, Base):
    """A workspace's IMAP folder and the position up to which it was read."""

    __tablename__ = "mailboxes"
    __table_args__ = (
        enum_check("security", MailboxSecurity),
        CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), unique=True)
    host: Mapped[str]
    port: Mapped[int]
    security: Mapped[str]
    username: Mapped[str]
    encrypted_password: Mapped[str]
    folder: Mapped[str] = mapped_column(server_default="INBOX")
    uid_validity: Mapped[int | None] = mapped_column(BigInteger)
    """The UIDVALIDITY of `last_uid` (RFC 3501); when it changes, the folder is read from the start."""
    last_uid: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The UID up to which all messages were processed."""
    read_since: Mapped[date]
    """Messages that arrived before this day are never read."""
    polled_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default="0")
    """How many polls in a row failed."""
    refusals: Mapped[int] = mapped_column(server_default="0")
    """How many polls in a row failed because the server refused the credentials or the folder."""
    last_error: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    """When polling stopped because the server refused the credentials or the folder."""
