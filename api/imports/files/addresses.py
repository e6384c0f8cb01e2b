"""Checks up to a million email addresses at a time.

A pattern recognises nearly every address of a real file in a fraction of a microsecond; `email-validator` accepts these
addresses unchanged. Only the other cells, each distinct one once, go through `email-validator`, which is a hundred
times slower.
"""

import re
from collections.abc import Iterator

import polars as pl
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from api.imports.files.records import BLANKS
from domain.suppression import MAX_ADDRESS_CHARACTERS, normalise_address

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"

# No `--`, which marks internationalised names that the validator decodes or refuses. No bounds and no lookahead, with
# which Postgres is sixty times slower.
PLAIN_ADDRESS = rf"^{_ATOM}(\.{_ATOM})*@([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z][a-z]+$"
"""A pattern, for Polars and Python alike, of lower-case addresses that are certainly valid and normalised, if they
are no longer than `PLAIN_CHARACTERS` and do not end in one of `RESERVED_ENDINGS`."""
PLAIN_CHARACTERS = 63
"""Up to this length no part of an address can be too long."""
RESERVED_ENDINGS = tuple(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)

SHOWN_CHARACTERS = 100
MAX_CELL_CHARACTERS = 20_000
"""How long a cell with addresses may be: fifty of the longest ones fit."""

_PART = r"[^<>@\s\"';,:?|/]+"
_WRAPPED = (rf"^[^<>@]*<\s*(?:mailto:)?({_PART}@{_PART})\s*>[\s;,]*$", rf"^(?:mailto:)?({_PART}@{_PART})[\s;,]*$")
"""The usual ways of writing one address with something around it, in lower case."""

_SPREADSHEET_APOSTROPHE = r"^['\u2018\u2019`]+(.*[^'\u2018\u2019`])$"
"""Programs write an apostrophe before a cell that must stay text; no address of a person begins with one."""
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_ANGLED = re.compile(r"<([^<>]*)>")
_SCHEME = re.compile(r"^(?:mailto|smtp|e-?mail)\s*:\s*", re.IGNORECASE)
_FULL_WIDTH = str.maketrans("＠．＜＞；，（）｜／：？", "@.<>;,()|/:?")  # noqa: RUF001 - that is what is replaced
_VALUES = re.compile(r":::|[\r\n]+")
"""What programs write between the values of one cell; each is a value of its own, such as `N/A`."""
_LISTED = re.compile(r"[;,|/]+")
_MAX_ADDRESSES = 50
"""The most addresses of one cell that are tried."""
_MAX_SURROUNDINGS = 10
"""How many quotation marks, brackets and schemes around one address are removed."""
_AROUND = {'"': '"', "'": "'", "`": "`", "(": ")", "[": "]", "<": ">", "\u201c": "\u201d", "\u2018": "\u2019"}


def check_addresses(cells: pl.Series, *, has_apostrophes: bool = False) -> pl.DataFrame:
    """Return for each cell the `address` in it, normalised, or the `problem` with it; a blank cell has neither.

    An address is extracted from common surroundings: a name before `<...>`, `mailto:`, quotation marks, brackets, a
    trailing separator or full stop, invisible characters; with `has_apostrophes` also the apostrophe that spreadsheets
    write before text. If a cell has several addresses, the first valid one counts. A cell with other words before its
    address has a problem: `ann lee@example.com` may be a typing error in another address. No network request is made.
    """
    cell = cells.cast(pl.String).str.strip_chars(BLANKS)
    if has_apostrophes:
        cell = cell.str.replace(_SPREADSHEET_APOSTROPHE, "${1}").str.strip_chars(BLANKS)
    cell = cell.replace("", None).alias("cell")
    address = _plain(cell.str.to_lowercase()).alias("address")
    rest = cell.filter(address.is_null() & cell.is_not_null()).unique()
    lower = rest.str.to_lowercase()
    unwrapped = pl.select(pl.coalesce(*(lower.str.extract(pattern) for pattern in _WRAPPED))).to_series()
    found = _plain(unwrapped).alias("found")
    parsed = [(text, *_parse(text)) for text in rest.filter(found.is_null())]
    checked = pl.concat(
        [
            pl.DataFrame([rest, found]).drop_nulls().with_columns(pl.lit(None, pl.String).alias("problem")),
            pl.DataFrame(parsed, schema=dict.fromkeys(("cell", "found", "problem"), pl.String), orient="row"),
        ]
    )
    return (
        pl.DataFrame([cell, address])
        .join(checked, on="cell", how="left", maintain_order="left")
        .select(pl.coalesce("address", "found").alias("address"), "problem")
    )


def is_plain_name(lower: pl.Series) -> pl.Series:
    """Return which lower-case domains or addresses are short and do not end in a reserved name."""
    is_reserved = lower.str.extract(r"\.([^.]*)$").is_in(list(RESERVED_ENDINGS)).fill_null(value=False)
    return (lower.str.len_chars() <= PLAIN_CHARACTERS) & ~is_reserved


def _plain(lower: pl.Series) -> pl.Series:
    """Return the cells that are plain addresses; the others are null."""
    is_plain = is_plain_name(lower) & lower.str.contains(PLAIN_ADDRESS)
    return lower.set(~is_plain.fill_null(value=False), None)


def display_address(cell: str) -> str:
    """Return a cell, shortened for an error sentence."""
    return cell if len(cell) <= SHOWN_CHARACTERS else f"{cell[:SHOWN_CHARACTERS]}…"


def _parse(cell: str) -> tuple[str | None, str | None]:
    """Return the first valid address of a cell, or the problem of the cell."""
    if len(cell) > MAX_CELL_CHARACTERS:
        return None, f"The address has {len(cell):,} characters; the limit of a cell is {MAX_CELL_CHARACTERS:,}."
    cell = _unify_marks(cell)
    if "@" not in cell:
        return None, f"'{display_address(cell)}' is not an email address."
    problem = None
    for candidate in _candidates(_INVISIBLE.sub("", cell)):
        try:
            return normalise_address(_valid(candidate)), None
        except EmailNotValidError as error:
            problem = problem or str(error)
    return None, f"'{display_address(cell)}' is not an email address: {problem}"


def _unify_marks(cell: str) -> str:
    """Return a cell with the full-width forms of the @ and other marks in their usual form."""
    return cell.translate(_FULL_WIDTH)


def _valid(candidate: str) -> str:
    if len(candidate) > MAX_ADDRESS_CHARACTERS:
        raise EmailNotValidError(f"It has {len(candidate):,} characters; the limit is {MAX_ADDRESS_CHARACTERS}.")
    return validate_email(candidate, check_deliverability=False, test_environment=True).normalized


def _candidates(cell: str) -> Iterator[str]:
    """Yield the possible addresses of a cell, most likely first."""
    yield cell.strip(BLANKS)
    angled = [inside for inside in _ANGLED.findall(cell) if "@" in inside]
    if angled:
        yield from map(_bare, angled[:_MAX_ADDRESSES])
        return
    bare = _bare(cell)
    yield bare
    parts = [part for part in _VALUES.split(bare) if "@" in part] if _VALUES.search(bare) else [bare]
    words = [words for part in parts for words in map(str.split, _LISTED.split(part)) if words]
    for together in words[:_MAX_ADDRESSES]:
        # `ann lee@example.com` may be a typing error in another address.
        if not all("@" in word for word in together):
            return
        yield from map(_bare, together)


def _bare(cell: str) -> str:
    """Return a cell without the surroundings of its address."""
    for _ in range(_MAX_SURROUNDINGS):
        before = cell
        cell = _SCHEME.sub("", cell.strip(BLANKS).rstrip(";,.").lstrip(";,"))
        cell = cell.removeprefix("'") if cell.count("'") == 1 else cell
        if len(cell) > 1 and _AROUND.get(cell[0]) == cell[-1]:
            cell = cell[1:-1]
        if cell == before:
            break
    query = cell.find("?", cell.find("@")) if "@" in cell else -1
    return cell[:query] if query >= 0 else cell
