"""Tells addresses that can be mailed from those that cannot, a million at a time.

Nearly every address of a real file is of a plain form that Postgres can recognise in two microseconds, and whatever it
takes for plain `email-validator` takes as it is. Only the rest, each different cell once, goes through
`email-validator`, which takes ten times as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from domain.suppression import normalise_address

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"

# No `--`: that is how international names are written in ASCII, which the validator decodes or refuses. No bounds and
# no looking ahead: with them Postgres takes sixty times as long.
PLAIN_ADDRESS = rf"^{_ATOM}(\.{_ATOM})*@([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z][a-z]+$"
"""A pattern, for Postgres and Python alike, of lower-case addresses that are certainly valid and normalised, if they
are no longer than `PLAIN_CHARACTERS` and do not end in one of `RESERVED_ENDINGS`."""
PLAIN_CHARACTERS = 63
"""So short that no part of an address can be too long."""
RESERVED_ENDINGS = tuple(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)

SHOWN_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of some cells, in their order: the address, or what is wrong with the cell."""

    cells: list[str]
    addresses: list[str | None]
    problems: list[str | None]


def check_addresses(cells: Sequence[str]) -> Checked:
    """Validate cells without asking the network; takes about 25 µs for each that holds an @."""
    found = [_check(cell) for cell in cells]
    return Checked(list(cells), [address for address, _ in found], [problem for _, problem in found])


def _check(cell: str) -> tuple[str | None, str | None]:
    shown = cell if len(cell) <= SHOWN_CHARACTERS else f"{cell[:SHOWN_CHARACTERS]}…"
    if "@" not in cell:
        return None, f"'{shown}' is not an email address."
    try:
        address = validate_email(cell, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        return None, f"'{shown}' is not an email address: {error}"
    return normalise_address(address), None
