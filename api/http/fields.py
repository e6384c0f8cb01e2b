"""The types of fields that bodies of several folders have: names, email addresses, time zones, texts."""

from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field

from domain.lead import MAX_FIELD_NAME_CHARACTERS
from domain.timezones import list_timezones

WITHOUT_NUL = r"^[^\x00]*$"
"""Postgres stores every character except NUL."""


def _known_timezone(name: str) -> str:
    if name not in list_timezones():
        raise ValueError(f"'{name}' is not an IANA time zone such as Africa/Johannesburg")
    return name


def _plain_address(address: str) -> str:
    try:
        return validate_email(address, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from error


EmailAddress = Annotated[str, Field(max_length=254), AfterValidator(_plain_address)]
FieldName = Annotated[str, Field(min_length=1, max_length=MAX_FIELD_NAME_CHARACTERS, pattern=WITHOUT_NUL)]
"""The name of a custom field of leads."""
Name = Annotated[str, Field(min_length=1, max_length=200)]
Timezone = Annotated[str, AfterValidator(_known_timezone)]
