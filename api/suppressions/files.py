"""Lists of whom never to mail, as files: our own export, or any table with a column of addresses or domains."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Literal

import polars as pl

from api.suppressions.schemas import plain_domain
from api.tabular.addresses import PLAIN_ADDRESS, PLAIN_CHARACTERS, RESERVED_ENDINGS, SHOWN_CHARACTERS, check_addresses
from api.tabular.blocks import frames, read_layout
from api.tabular.layout import Layout, is_address
from api.tabular.records import BLANKS
from api.tabular.text import UnreadableFile
from domain.suppression import SuppressionReason

Takes = Literal["email", "domain", "either"]

EXPORTED = ("kind", "value", "valueHash", "reason", "source", "suppressedAt")
"""The columns of our own files; see `repository.export_rows` for how a value is written."""
LANDED = ("line_number", "kind", "value", "value_hash", "reason", "source", "suppressed_at", "cell", "problem")

MOST_SOURCE_CHARACTERS = 500
BLOCK_CHARACTERS = 1024 * 1024
GUARDED = r"^'[=+\-@\t\r']"
"""What our export writes before a cell that a spreadsheet would take for a formula: an apostrophe, to be taken off."""

_DOMAIN = r"^@?([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z][a-z]+$"
_HASH = r"^[0-9a-f]{64}$"
_MAIL_NAMES = ("email", "emailaddress", "mail", "mailaddress", "address", "recipient", "subscriber")


_OF_ADDRESSES = [reason.value for reason in SuppressionReason if reason is not SuppressionReason.DOMAIN]


@dataclass(frozen=True, slots=True)
class Columns:
    """Where in a row stand whom not to mail: positions of cells and what each takes; `own` of our own export."""

    values: Sequence[tuple[int, Takes]]
    own: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A list that can be read, row by row."""

    text: IO[str]
    layout: Layout
    columns: Columns


def read_file(text: IO[str]) -> ReadFile:
    """Find out where a list stands in a file; raises UnreadableFile."""
    layout, samples = read_layout(text, is_data=_is_value)
    return ReadFile(text, layout, _columns(layout.headers, samples))


def _is_value(cell: str) -> bool:
    cell = cell.strip().lower()
    return is_address(cell) or re.search(_DOMAIN, cell) is not None


def _columns(headers: Sequence[str], samples: Sequence[Sequence[str]]) -> Columns:
    names = [re.sub("[^a-z]", "", header.lower()) for header in headers]
    own = {name: names.index(name.lower()) for name in EXPORTED if name.lower() in names}
    if {"kind", "value", "valueHash"} <= own.keys():
        return Columns([(own["value"], "email")], own)
    mail = [place for place in _named(names, _is_mail) if _may_hold(samples, place, "@")]
    domain = [place for place in _named(names, lambda name: "domain" in name) if _may_hold(samples, place, ".")]
    found: list[tuple[int, Takes]] = [(place, "email") for place in mail[:1]]
    found += [(place, "domain") for place in domain[:1]]
    return Columns(found or [_by_content(samples)])


def _named(names: Sequence[str], fits: Callable[[str], bool]) -> list[int]:
    """Return the columns whose name fits, the plainest names first."""
    places = [place for place, name in enumerate(names) if fits(name)]
    return sorted(places, key=lambda at: (_MAIL_NAMES.index(names[at]) if names[at] in _MAIL_NAMES else 99, at))


def _is_mail(name: str) -> bool:
    return name in _MAIL_NAMES or ("mail" in name and "domain" not in name)


def _may_hold(samples: Sequence[Sequence[str]], place: int, sign: str) -> bool:
    cells = [cell for row in samples if (cell := row[place].strip())]
    return not cells or any(sign in cell for cell in cells)


def _by_content(samples: Sequence[Sequence[str]]) -> tuple[int, Takes]:
    """Return the column that holds most addresses or domains, where no name says which one it is."""
    counts = Counter(place for row in samples for place, cell in enumerate(row) if _is_value(cell))
    if not counts:
        raise UnreadableFile(
            "No column of the file holds email addresses or domains; call the one that does `email` or `domain`."
        )
    place = max(counts, key=lambda at: (counts[at], -at))
    if len(samples[0]) == 1:
        return place, "either"
    addresses = sum(is_address(row[place]) for row in samples)
    return place, "email" if addresses * 2 >= counts[place] else "domain"


def read_rows(file: ReadFile, *, reason: SuppressionReason, source: str) -> Iterator[pl.DataFrame]:
    """Yield the file's rows with the columns `LANDED`; what a row leaves open is as given here.

    A row that says nobody has a `problem`, and shows its `cell`.
    """
    for frame in frames(file.text, file.layout, BLOCK_CHARACTERS):
        cells = pl.col("cells").str.json_decode(pl.List(pl.String))
        rows = frame.select("line_number", "error", cells.alias("cells"))
        own = file.columns.own
        rows = _foreign(rows, file.columns.values) if own is None else _ours(rows, own)
        yield _judged(rows, reason, source)


def _cell(position: int) -> pl.Expr:
    return pl.col("cells").list.get(position, null_on_oob=True).fill_null("").str.strip_chars(BLANKS)


def _foreign(rows: pl.DataFrame, values: Sequence[tuple[int, Takes]]) -> pl.DataFrame:
    """Return rows with the first cell that says somebody, and what kind of cell that is."""
    (first, takes), (other, other_takes) = values[0], values[-1]
    is_first = _cell(first) != ""
    nothing = pl.lit(None, pl.String)
    return rows.select(
        "line_number",
        pl.col("error").alias("problem"),
        pl.when(is_first).then(_cell(first)).otherwise(_cell(other)).alias("cell"),
        pl.when(is_first).then(pl.lit(takes)).otherwise(pl.lit(other_takes)).alias("takes"),
        *(nothing.alias(name) for name in ("value_hash", "given_reason", "given_source", "suppressed_at")),
    )


def _ours(rows: pl.DataFrame, own: dict[str, int]) -> pl.DataFrame:
    """Return the rows of our own export, whose kind, hash, reason, source and time are their own."""
    kind = _cell(own["kind"]).str.to_lowercase()
    hashed = _cell(own["valueHash"]).str.to_lowercase()
    given = _cell(own["reason"]) if "reason" in own else pl.lit("")
    fits = pl.when(kind == "domain").then(given.is_in(["", "domain"])).otherwise(given.is_in(["", *_OF_ADDRESSES]))
    problem = (
        pl.when(pl.col("error").is_not_null())
        .then(pl.col("error"))
        .when(~kind.is_in(["email", "domain"]))
        .then(pl.lit("The kind is neither email nor domain."))
        .when(~fits)
        .then(pl.lit(f"The reason is none of {', '.join(_OF_ADDRESSES)}, or domain for a domain."))
    )
    moment = _cell(own["suppressedAt"]) if "suppressedAt" in own else pl.lit("")
    return rows.select(
        "line_number",
        problem.alias("problem"),
        _unguarded(_cell(own["value"])).alias("cell"),
        kind.alias("takes"),
        pl.when(hashed.str.contains(_HASH)).then(hashed).alias("value_hash"),
        pl.when(given != "").then(given).alias("given_reason"),
        (_unguarded(_cell(own["source"])) if "source" in own else pl.lit("")).alias("given_source"),
        # Whom not to mail matters more than since when: a time that a spreadsheet has spoilt is that of the import.
        moment.str.replace("Z$", "+00:00")
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False)
        .dt.to_string("iso:strict")
        .alias("suppressed_at"),
    )


def _unguarded(cell: pl.Expr) -> pl.Expr:
    return pl.when(cell.str.contains(GUARDED)).then(cell.str.slice(1)).otherwise(cell)


def _judged(rows: pl.DataFrame, reason: SuppressionReason, source: str) -> pl.DataFrame:
    """Return rows with kind and value, or with their problem; only what is not of a plain form is looked at singly."""
    lower, takes = pl.col("cell").str.to_lowercase(), pl.col("takes")
    is_short = lower.str.len_chars() <= PLAIN_CHARACTERS
    is_plain = is_short & ~lower.str.extract(r"\.([^.]*)$").is_in(list(RESERVED_ENDINGS)).fill_null(value=False)
    is_plain_address = is_plain & (takes != "domain") & lower.str.contains(PLAIN_ADDRESS)
    is_plain_domain = is_plain & ((takes != "email") | lower.str.starts_with("@")) & lower.str.contains(_DOMAIN)
    is_hash = (lower == "") & pl.col("value_hash").is_not_null()
    rows = rows.with_columns(
        pl.when(pl.col("problem").is_not_null() | is_hash)
        .then(pl.lit("known"))
        .when(is_plain_address)
        .then(pl.lit("email"))
        .when(is_plain_domain)
        .then(pl.lit("domain"))
        .alias("plain")
    )
    doubtful = rows.filter(pl.col("plain").is_null()).select("cell", "takes").unique()
    looked_at = [(cell, takes, *_look(cell, takes)) for cell, takes in doubtful.iter_rows()]
    schema = dict.fromkeys(("cell", "takes", "found_kind", "found_value", "found_problem"), pl.String)
    found = pl.DataFrame(looked_at, schema=schema, orient="row")
    joined = rows.join(found, on=["cell", "takes"], how="left", maintain_order="left")
    kind = pl.when(_plain_is("known")).then(takes).otherwise(pl.coalesce(_unless_known("plain"), "found_kind"))
    problem = pl.coalesce("problem", "found_problem")
    given_source = pl.when(pl.col("given_source").fill_null("") != "").then(pl.col("given_source"))
    return joined.select(
        "line_number",
        kind.alias("kind"),
        pl.when(_plain_is("email"))
        .then(lower)
        .when(_plain_is("domain"))
        .then(pl.lit("@") + lower.str.strip_prefix("@"))
        .otherwise(pl.col("found_value"))
        .alias("value"),
        "value_hash",
        pl.when(kind == "domain")
        .then(pl.lit(SuppressionReason.DOMAIN.value))
        .otherwise(pl.coalesce("given_reason", pl.lit(reason.value)))
        .alias("reason"),
        pl.coalesce(given_source, pl.lit(source)).str.slice(0, MOST_SOURCE_CHARACTERS).alias("source"),
        "suppressed_at",
        pl.when(problem.is_not_null()).then(pl.col("cell").str.slice(0, SHOWN_CHARACTERS)).alias("cell"),
        problem.alias("problem"),
    ).select(LANDED)


def _plain_is(kind: str) -> pl.Expr:
    return (pl.col("plain") == kind).fill_null(value=False)


def _unless_known(column: str) -> pl.Expr:
    return pl.when(~_plain_is("known")).then(pl.col(column))


def _look(cell: str, takes: Takes) -> tuple[str | None, str | None, str | None]:
    """Return kind and value of one cell, or what is wrong with it."""
    if not cell:
        return None, None, "The row names nobody: neither an address nor a domain."
    shown = cell if len(cell) <= SHOWN_CHARACTERS else f"{cell[:SHOWN_CHARACTERS]}…"
    if "@" in cell and not cell.startswith("@"):
        if takes == "domain":
            return None, None, f"'{shown}' is an address where a domain should be."
        checked = check_addresses([cell])
        return "email", checked.addresses[0], checked.problems[0]
    if takes == "email" and not cell.startswith("@"):
        return None, None, f"'{shown}' is not an email address; a whole domain is written with an @ before it."
    try:
        return "domain", f"@{plain_domain(cell)}", None
    except ValueError:
        return None, None, f"'{shown}' is not a domain such as example.com."
