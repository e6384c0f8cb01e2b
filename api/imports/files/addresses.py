"""Tells addresses that can be mailed from those that cannot, a million at a time.

Nearly every address of a real file is of a plain form that a pattern recognises in a fraction of a microsecond, and
whatever it takes for plain `email-validator` takes as it is. Only the rest, each different cell once, goes through
`email-validator`, which takes a hundred times as long.
"""

import re
from collections.abc import Iterator

import polars as pl
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from api.imports.files.records import BLANKS
from domain.suppression import normalise_address

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"

# No `--`: that is how international names are written in ASCII, which the validator decodes or refuses. No bounds and
# no looking ahead: with them Postgres takes sixty times as long.
PLAIN_ADDRESS = rf"^{_ATOM}(\.{_ATOM})*@([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z][a-z]+$"
"""A pattern, for Polars and Python alike, of lower-case addresses that are certainly valid and normalised, if they
are no longer than `PLAIN_CHARACTERS` and do not end in one of `RESERVED_ENDINGS`."""
PLAIN_CHARACTERS = 63
"""So short that no part of an address can be too long."""
RESERVED_ENDINGS = tuple(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)

SHOWN_CHARACTERS = 100

_PART = r"[^<>@\s\"';,:]+"
_WRAPPED = (rf"^[^<>@]*<\s*(?:mailto:)?({_PART}@{_PART})\s*>[\s;,]*$", rf"^(?:mailto:)?({_PART}@{_PART})[\s;,]*$")
"""The usual ways of writing one address with something around it, in lower case."""

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_ANGLED = re.compile(r"<([^<>]*@[^<>]*)>")
_SCHEME = re.compile(r"^(?:mailto|smtp|e-?mail)\s*:\s*", re.IGNORECASE)
_AROUND = {'"': '"', "'": "'", "`": "`", "(": ")", "[": "]", "<": ">", "\u201c": "\u201d", "\u2018": "\u2019"}


def check_addresses(cells: pl.Series) -> pl.DataFrame:
    """Return for each cell the `address` in it, normalised, or the `problem` with it; a blank cell has neither.

    An address is taken out of what commonly stands around it: a name before `<...>`, `mailto:`, quotation marks,
    brackets, a trailing separator, characters that show nothing. Of several addresses in a cell the first valid one is
    taken. A cell with other words than these before its address has a problem: `ann lee@example.com` may be a slip of
    the hand in another person's address. The network is not asked.
    """
    cell = cells.cast(pl.String).str.strip_chars(BLANKS).replace("", None).alias("cell")
    address = _plain(cell.str.to_lowercase()).alias("address")
    rest = cell.filter(address.is_null() & cell.is_not_null()).unique()
    lower = rest.str.to_lowercase()
    unwrapped = pl.select(pl.coalesce(*(lower.str.extract(pattern) for pattern in _WRAPPED))).to_series()
    found = _plain(unwrapped).alias("found")
    single = [(one, *_look(one)) for one in rest.filter(found.is_null())]
    judged = pl.concat(
        [
            pl.DataFrame([rest, found]).drop_nulls().with_columns(pl.lit(None, pl.String).alias("problem")),
            pl.DataFrame(single, schema=dict.fromkeys(("cell", "found", "problem"), pl.String), orient="row"),
        ]
    )
    return (
        pl.DataFrame([cell, address])
        .join(judged, on="cell", how="left", maintain_order="left")
        .select(pl.coalesce("address", "found").alias("address"), "problem")
    )


def is_plain_name(lower: pl.Series) -> pl.Series:
    """Say which domains or addresses, in lower case, are short and end in no reserved name."""
    is_reserved = lower.str.extract(r"\.([^.]*)$").is_in(list(RESERVED_ENDINGS)).fill_null(value=False)
    return (lower.str.len_chars() <= PLAIN_CHARACTERS) & ~is_reserved


def _plain(lower: pl.Series) -> pl.Series:
    """Return the cells that are plain addresses; the others are null."""
    is_plain = is_plain_name(lower) & lower.str.contains(PLAIN_ADDRESS)
    return lower.set(~is_plain.fill_null(value=False), None)


def display_address(cell: str) -> str:
    """Return a cell cut to a length that a sentence can hold."""
    return cell if len(cell) <= SHOWN_CHARACTERS else f"{cell[:SHOWN_CHARACTERS]}…"


def _look(cell: str) -> tuple[str | None, str | None]:
    """Return the first valid address of a cell, or what is wrong with the cell."""
    if "@" not in cell:
        return None, f"'{display_address(cell)}' is not an email address."
    problem = None
    for candidate in _candidates(_INVISIBLE.sub("", cell)):
        try:
            return normalise_address(_valid(candidate)), None
        except EmailNotValidError as error:
            problem = problem or str(error)
    return None, f"'{display_address(cell)}' is not an email address: {problem}"


def _valid(candidate: str) -> str:
    return validate_email(candidate, check_deliverability=False, test_environment=True).normalized


def _candidates(cell: str) -> Iterator[str]:
    """Yield what of a cell may be an address, the likeliest first."""
    yield cell.strip(BLANKS)
    angled = _ANGLED.findall(cell)
    if angled:
        yield from map(_bare, angled)
        return
    bare = _bare(cell)
    yield bare
    for part in re.split(r"[;,|/\r\n]+", bare):
        words = part.split()
        if not words:
            continue
        if not all("@" in word for word in words):
            return
        yield from map(_bare, words)


def _bare(cell: str) -> str:
    """Return a cell without what stands around the address in it."""
    before = None
    while cell != before:
        before = cell
        cell = _SCHEME.sub("", cell.strip(BLANKS).rstrip(";,"))
        if len(cell) > 1 and _AROUND.get(cell[0]) == cell[-1]:
            cell = cell[1:-1]
    return cell
