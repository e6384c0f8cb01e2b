"""Request and response bodies of mailboxes."""

from datetime import date, datetime
from ipaddress import ip_address
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from api.http.pagination import Wire
from database.models import MailboxSecurity

_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
DEFAULT_PORTS = {MailboxSecurity.TLS: 993, MailboxSecurity.STARTTLS: 143, MailboxSecurity.NONE: 143}


class MailboxIn(Wire):
    """An IMAP folder to read replies from; nothing in it is changed, not even flags."""

    host: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9._:-]+$", examples=["imap.acme.example"])]
    port: Annotated[
        int | None, Field(strict=True, ge=1, le=65535, description="By default 993 with tls, and 143 otherwise.")
    ] = None
    security: Annotated[
        MailboxSecurity, Field(description="Certificates are always verified; none is allowed for localhost only.")
    ] = MailboxSecurity.TLS
    username: Annotated[str, Field(max_length=320, pattern=_PRINTABLE)]
    password: Annotated[SecretStr, Field(min_length=1, max_length=1000)]
    folder: Annotated[str, Field(max_length=255, pattern=_PRINTABLE)] = "INBOX"
    read_since: Annotated[
        date | None,
        Field(
            description="Older messages are not read, except some of the day before: the server may be in another"
            " time zone. By default the date set before for this folder, else today."
        ),
    ] = None

    @model_validator(mode="after")
    def _is_protected(self) -> Self:
        if self.security is MailboxSecurity.NONE and not _is_localhost(self.host):
            raise ValueError("security none sends the password unencrypted; it is allowed for localhost only")
        return self

    @model_validator(mode="after")
    def _has_printable_password(self) -> Self:
        if not self.password.get_secret_value().isprintable():
            raise ValueError("password contains a control character")
        return self


class MailboxOut(Wire):
    """A workspace's mailbox and the state of reading it; the password is never returned."""

    host: str
    port: int
    security: MailboxSecurity
    username: str
    folder: str
    read_since: date
    polled_at: Annotated[datetime | None, Field(description="When every message in the folder was last read.")]
    failures: Annotated[int, Field(description="The number of failed polls in a row.")]
    last_error: Annotated[str | None, Field(description="The error of the last failed poll.")]
    disabled_at: Annotated[
        datetime | None,
        Field(description="When reading was stopped because the server refused it. Put the mailbox again to resume."),
    ]


def _is_localhost(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
