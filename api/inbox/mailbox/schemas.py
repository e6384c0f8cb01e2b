"""Mailboxes on the wire."""

from datetime import date, datetime
from ipaddress import ip_address
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from api.http.pagination import Wire
from database.models import MailboxSecurity

_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
USUAL_PORTS = {MailboxSecurity.TLS: 993, MailboxSecurity.STARTTLS: 143, MailboxSecurity.NONE: 143}


class MailboxIn(Wire):
    """An IMAP folder to read answers from; nothing in it is changed, flags included."""

    host: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9._:-]+$", examples=["imap.acme.example"])]
    port: Annotated[
        int | None, Field(strict=True, ge=1, le=65535, description="993 with tls, 143 otherwise, unless told.")
    ] = None
    security: Annotated[
        MailboxSecurity, Field(description="Certificates are always verified; none is for this machine alone.")
    ] = MailboxSecurity.TLS
    username: Annotated[str, Field(max_length=320, pattern=_PRINTABLE)]
    password: Annotated[SecretStr, Field(min_length=1, max_length=1000)]
    folder: Annotated[str, Field(max_length=255, pattern=_PRINTABLE)] = "INBOX"
    read_since: Annotated[
        date | None,
        Field(description="What arrived before is never read; as it was for a folder known already, else today."),
    ] = None

    @model_validator(mode="after")
    def _is_protected(self) -> Self:
        if self.security is MailboxSecurity.NONE and not _is_this_machine(self.host):
            raise ValueError("security none sends the password unencrypted; it is allowed for localhost only")
        return self

    @model_validator(mode="after")
    def _password_is_one_line(self) -> Self:
        if not self.password.get_secret_value().isprintable():
            raise ValueError("password contains a control character")
        return self


class MailboxOut(Wire):
    """A workspace's mailbox and how reading it goes; the password is never shown."""

    host: str
    port: int
    security: MailboxSecurity
    username: str
    folder: str
    read_since: date
    polled_at: Annotated[datetime | None, Field(description="When all that was there had been read.")]
    failures: Annotated[int, Field(description="How many polls in a row went wrong since.")]
    last_error: Annotated[str | None, Field(description="Why the last one did.")]
    disabled_at: Annotated[
        datetime | None,
        Field(description="Since when it is not read any more: the server refuses. Put the mailbox again."),
    ]


def _is_this_machine(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
