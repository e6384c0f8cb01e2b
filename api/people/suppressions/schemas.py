"""Suppressions on the wire."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, model_validator

from api.accounts.workspaces.schemas import EmailAddress
from api.http.pagination import Wire
from domain.suppression import SuppressionReason

WITHOUT_NUL = r"^[^\x00]*$"
"""Postgres stores every character but one."""


def plain_domain(domain: str) -> str:
    """Return a domain in its normal form, without an @; raises ValueError for what is none."""
    bare = domain.removeprefix("@")
    try:
        return validate_email(f"anyone@{bare}", check_deliverability=False, test_environment=True).domain.lower()
    except EmailNotValidError as error:
        raise ValueError(f"'{bare}' is not a domain such as example.com") from error


DomainName = Annotated[str, Field(max_length=253), AfterValidator(plain_domain)]
Sentence = Annotated[str, Field(min_length=1, max_length=500, pattern=WITHOUT_NUL)]


Kind = Literal["email", "domain"]
ReasonOfAddress = Literal["unsubscribed", "hard_bounce", "complaint", "manual"]


class SuppressionIn(Wire):
    """An address or a domain that must not be mailed: give one of the two."""

    email: EmailAddress | None = None
    domain: DomainName | None = None
    reason: Annotated[
        ReasonOfAddress,
        Field(description="Why; of an address only, a domain's reason is always `domain`."),
    ] = "manual"
    source: Annotated[Sentence, Field(description="Where it comes from, for people.")] = "by hand"

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.email is None) == (self.domain is None):
            raise ValueError("give either email or domain")
        return self


class InvalidLine(Wire):
    """A row of a file that says nobody: the line it begins at, counted from 1, what it holds, and what is wrong."""

    line: int
    value: str
    message: str


class SuppressionImport(Wire):
    """What came of a file: each of its rows was added, stood already (also earlier in the file), or is invalid."""

    added: int
    already: int
    invalid: Annotated[list[InvalidLine], Field(description="The first 100 of them.")]
    invalid_count: int


class SuppressionOut(Wire):
    """Who must not be mailed, and why; `value` is null where only its hash is kept."""

    id: UUID
    kind: Kind
    value: str | None
    reason: SuppressionReason
    source: str
    suppressed_at: datetime


class SuppressionRemovalOut(Wire):
    """A suppression that somebody took back: what it was, by whom and why."""

    id: UUID
    kind: Kind
    value: str | None
    reason: SuppressionReason
    source: str
    suppressed_at: datetime
    removed_because: str
    removed_by: Annotated[UUID, Field(description="The user.")]
    removed_at: datetime
