"""The mailboxes that answers are read from."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, Identified, Timestamped, one_of


class MailboxSecurity(StrEnum):
    """How the connection to an IMAP server is protected."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


class Mailbox(Identified, Timestamped, Base):
    """A workspace's IMAP folder, and how far it was read."""

    __tablename__ = "mailboxes"
    __table_args__ = (
        one_of("security", MailboxSecurity),
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
    """The server's word for which numbering `last_uid` belongs to (RFC 3501); another one means to look anew."""
    last_uid: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Up to which message everything was taken."""
    read_since: Mapped[date]
    """Messages that arrived before this day are never read."""
    polled_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default="0")
    """How many polls in a row went wrong."""
    refusals: Mapped[int] = mapped_column(server_default="0")
    """How many polls in a row the server refused the credentials or the folder."""
    last_error: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    """Since when it is not read any more, because the server refuses the credentials or the folder."""
