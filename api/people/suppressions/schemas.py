"""The request and response bodies of suppressions."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, model_validator

from api.http.fields import WITHOUT_NUL, EmailAddress
from api.http.pagination import Wire
from domain.suppression import SuppressionReason, SuppressionScope, extract_domain, normalise_address


def plain_domain(domain: str) -> str:
    """Return a domain in its normal form, without an @; raises ValueError for an invalid domain."""
    bare = domain.removeprefix("@")
    try:
        validated = validate_email(f"anyone@{bare}", check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(f"'{bare}' is not a domain such as example.com") from error
    return extract_domain(validated.normalized)


def exact_value(value: str) -> str:
    """Return the canonical form of one address or `@domain`; raises ValueError for any other text.

    A list for a text that no suppression can have would be empty, and read as "may be mailed".
    """
    value = normalise_address(value)
    local, at, domain = value.rpartition("@")
    if " " in value:
        raise ValueError("an address cannot contain a space; write a plus sign in a URL as %2B")
    if not at or not domain or (not local and "." not in domain):
        raise ValueError("must be one address, or one domain with an @ before it, such as @example.com")
    return value


DomainName = Annotated[str, Field(max_length=253), AfterValidator(plain_domain)]
Sentence = Annotated[str, Field(min_length=1, max_length=500, pattern=WITHOUT_NUL)]


Kind = Literal["email", "domain"]
ReasonOfAddress = Literal["unsubscribed", "hard_bounce", "complaint", "manual"]
GivenScope = Annotated[
    SuppressionScope | None,
    Field(
        description="Where it counts. By default `account` for the reasons unsubscribed, complaint and hard_bounce, "
        "and `workspace` for manual and domain."
    ),
]
Scope = Annotated[
    SuppressionScope,
    Field(description="Where it counts: in this workspace, or in all workspaces of the account, later ones included."),
]
IncludeSubdomains = Annotated[bool, Field(description="Whether a domain stands for the domains below it too.")]


class SuppressionIn(Wire):
    """An address or a domain to suppress: give one of the two."""

    email: EmailAddress | None = None
    domain: DomainName | None = None
    reason: Annotated[
        ReasonOfAddress,
        Field(description="The reason for an address; the reason of a domain is always `domain`."),
    ] = "manual"
    source: Annotated[Sentence, Field(description="Where it comes from, as a sentence for users.")] = "by hand"
    scope: GivenScope = None
    include_subdomains: IncludeSubdomains = False

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.email is None) == (self.domain is None):
            raise ValueError("set either email or domain")
        if self.email is not None and self.include_subdomains:
            raise ValueError("includeSubdomains is for a domain; set domain instead of email")
        return self


class InvalidLine(Wire):
    """An invalid row of a file: the line where it begins, counted from 1, its value, and the problem."""

    line: int
    value: str
    message: str


class SuppressionImport(Wire):
    """The result of an import: each row was added, was suppressed before (also earlier in the file), or is invalid."""

    added: int
    already: int
    invalid: Annotated[list[InvalidLine], Field(description="The first 100 invalid rows.")]
    invalid_count: int


class SuppressionOut(Wire):
    """A suppressed address or domain, and the reason; `value` is null if only its hash is stored."""

    id: UUID
    kind: Kind
    value: str | None
    scope: Scope
    include_subdomains: IncludeSubdomains
    reason: SuppressionReason
    source: str
    suppressed_at: datetime


class SuppressionRemovalOut(Wire):
    """A removed suppression, with the user who removed it and the reason."""

    id: UUID
    kind: Kind
    value: str | None
    scope: Scope
    include_subdomains: IncludeSubdomains
    reason: SuppressionReason
    source: str
    suppressed_at: datetime
    removed_because: str
    removed_by: Annotated[UUID, Field(description="The user who removed it.")]
    removed_at: datetime
