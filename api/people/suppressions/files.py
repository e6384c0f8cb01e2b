"""Reads files of suppressions: our own export, or any table with a column of addresses or domains."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Literal

import polars as pl

from api.imports.files.addresses import SHOWN_CHARACTERS, check_addresses, is_plain_name
from api.imports.files.blocks import read_frames, read_layout
from api.imports.files.layout import Layout, is_address
from api.imports.files.records import BLANKS
from api.imports.files.text import UnreadableFile
from api.people.suppressions.schemas import plain_domain
from domain.suppression import SuppressionReason, SuppressionScope, default_scope

Accepts = Literal["email", "domain", "either"]

EXPORTED = ("kind", "value", "valueHash", "reason", "source", "suppressedAt", "scope", "includeSubdomains")
"""The columns of our own files; see `repository.export_rows` for how a value is written."""
LANDED = (
    *("line_number", "kind", "value", "value_hash", "reason", "source", "suppressed_at"),
    *("scope", "include_subdomains", "cell", "problem"),
)

MOST_SOURCE_CHARACTERS = 500
BLOCK_CHARACTERS = 1024 * 1024
GUARDED = r"^'[=+\-@\t\r']"
"""A cell before which our export writes an apostrophe, because a spreadsheet would read it as a formula."""

_DOMAIN = r"^@?([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z][a-z]+$"
_HASH = r"^[0-9a-f]{64}$"
_MAIL_NAMES = ("email", "emailaddress", "mail", "mailaddress", "address", "recipient", "subscriber")


_OF_ADDRESSES = [reason.value for reason in SuppressionReason if reason is not SuppressionReason.DOMAIN]


@dataclass(frozen=True, slots=True)
class Columns:
    """The positions of the cells with addresses or domains and what each accepts; `own` only for our own export."""

    values: Sequence[tuple[int, Accepts]]
    own: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class RowDefaults:
    """What rows of a file count as that do not say it themselves; without a scope, the reason decides."""

    reason: SuppressionReason
    source: str
    scope: SuppressionScope | None = None


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that can be read row by row."""

    text: IO[str]
    layout: Layout
    columns: Columns


def read_file(text: IO[str]) -> ReadFile:
    """Find the columns of a file; raises UnreadableFile."""
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
    emails = [position for position in _named(names, _is_mail) if _may_hold(samples, position, "@")]
    domains = [
        position for position in _named(names, lambda name: "domain" in name) if _may_hold(samples, position, ".")
    ]
    values: list[tuple[int, Accepts]] = [(position, "email") for position in emails[:1]]
    values += [(position, "domain") for position in domains[:1]]
    return Columns(values or [_by_content(samples)])


def _named(names: Sequence[str], fits: Callable[[str], bool]) -> list[int]:
    """Return the positions of the columns whose name fits, exact names first."""
    positions = [position for position, name in enumerate(names) if fits(name)]
    return sorted(positions, key=lambda at: (_MAIL_NAMES.index(names[at]) if names[at] in _MAIL_NAMES else 99, at))


def _is_mail(name: str) -> bool:
    return name in _MAIL_NAMES or ("mail" in name and "domain" not in name)


def _may_hold(samples: Sequence[Sequence[str]], position: int, sign: str) -> bool:
    cells = [cell for row in samples if (cell := row[position].strip())]
    return not cells or any(sign in cell for cell in cells)


def _by_content(samples: Sequence[Sequence[str]]) -> tuple[int, Accepts]:
    """Return the column with the most addresses or domains, for a file whose headers name none."""
    counts = Counter(position for row in samples for position, cell in enumerate(row) if _is_value(cell))
    if not counts:
        raise UnreadableFile(
            "No column of the file contains email addresses or domains. Name the column `email` or `domain`."
        )
    position = max(counts, key=lambda at: (counts[at], -at))
    if len(samples[0]) == 1:
        return position, "either"
    addresses = sum(is_address(row[position]) for row in samples)
    return position, "email" if addresses * 2 >= counts[position] else "domain"


def read_rows(file: ReadFile, defaults: RowDefaults) -> Iterator[pl.DataFrame]:
    """Yield the rows of the file with the columns `LANDED`.

    A row that names no address or domain has a `problem` and its `cell`.
    """
    for frame in read_frames(file.text, file.layout, BLOCK_CHARACTERS):
        own = file.columns.own
        rows = _foreign(frame, file.columns.values) if own is None else _ours(frame, own)
        yield _with_defaults(rows, defaults)


def _cell(position: int) -> pl.Expr:
    return pl.col(str(position)).fill_null("").str.strip_chars(BLANKS)


def _foreign(rows: pl.DataFrame, values: Sequence[tuple[int, Accepts]]) -> pl.DataFrame:
    """Return rows with the first cell that is not blank, and what it accepts."""
    (first, takes), (other, other_takes) = values[0], values[-1]
    is_first = _cell(first) != ""
    nothing = pl.lit(None, pl.String)
    return rows.select(
        "line_number",
        pl.col("error").alias("problem"),
        pl.when(is_first).then(_cell(first)).otherwise(_cell(other)).alias("cell"),
        pl.when(is_first).then(pl.lit(takes)).otherwise(pl.lit(other_takes)).alias("takes"),
        *(
            nothing.alias(name)
            for name in (
                "value_hash",
                "given_reason",
                "given_source",
                "suppressed_at",
                "given_scope",
                "given_subdomains",
            )
        ),
    )


def _ours(rows: pl.DataFrame, own: dict[str, int]) -> pl.DataFrame:
    """Return the rows of our own export, with their kind, hash, reason, source and time."""
    kind = _cell(own["kind"]).str.to_lowercase()
    hashed = _cell(own["valueHash"]).str.to_lowercase()
    given = _cell(own["reason"]) if "reason" in own else pl.lit("")
    scope = (_cell(own["scope"]) if "scope" in own else pl.lit("")).str.to_lowercase()
    subdomains = (_cell(own["includeSubdomains"]) if "includeSubdomains" in own else pl.lit("")).str.to_lowercase()
    fits = pl.when(kind == "domain").then(given.is_in(["", "domain"])).otherwise(given.is_in(["", *_OF_ADDRESSES]))
    problem = (
        pl.when(pl.col("error").is_not_null())
        .then(pl.col("error"))
        .when(~kind.is_in(["email", "domain"]))
        .then(pl.lit("The kind must be email or domain."))
        .when(~fits)
        .then(pl.lit(f"The reason must be one of {', '.join(_OF_ADDRESSES)}, or domain for a domain."))
        .when(~scope.is_in(["", *SuppressionScope]))
        .then(pl.lit(f"The scope must be one of {', '.join(SuppressionScope)}."))
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
        # A time that a spreadsheet has damaged becomes the time of the import; the suppression itself must not be lost.
        moment.str.replace("Z$", "+00:00")
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False)
        .dt.to_string("iso:strict")
        .alias("suppressed_at"),
        pl.when(scope != "").then(scope).alias("given_scope"),
        subdomains.alias("given_subdomains"),
    )


def _unguarded(cell: pl.Expr) -> pl.Expr:
    return pl.when(cell.str.contains(GUARDED)).then(cell.str.slice(1)).otherwise(cell)


def _with_defaults(rows: pl.DataFrame, defaults: RowDefaults) -> pl.DataFrame:
    """Return rows with kind and value, or with their problem."""
    given_source = pl.when(pl.col("given_source").fill_null("") != "").then(pl.col("given_source"))
    reason = (
        pl.when(pl.col("kind") == "domain")
        .then(pl.lit(SuppressionReason.DOMAIN.value))
        .otherwise(pl.coalesce("given_reason", pl.lit(defaults.reason.value)))
    )
    by_reason = {reason.value: default_scope(reason).value for reason in SuppressionReason}
    default = pl.lit(defaults.scope.value) if defaults.scope else reason.replace_strict(by_reason, default=None)
    # A spreadsheet writes booleans in its own way.
    is_wide = pl.col("given_subdomains").fill_null("").is_in(["t", "true", "1"])
    return (
        _with_values(_with_kinds(rows))
        .select(
            "line_number",
            "kind",
            pl.coalesce("address", "domain").alias("value"),
            "value_hash",
            reason.alias("reason"),
            pl.coalesce(given_source, pl.lit(defaults.source)).str.slice(0, MOST_SOURCE_CHARACTERS).alias("source"),
            "suppressed_at",
            pl.coalesce("given_scope", default).alias("scope"),
            ((pl.col("kind") == "domain") & is_wide).fill_null(value=False).alias("include_subdomains"),
            pl.when(pl.col("problem").is_not_null()).then(pl.col("cell").str.slice(0, SHOWN_CHARACTERS)).alias("cell"),
            "problem",
        )
        .select(LANDED)
    )


def _with_kinds(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with the `kind` of their cells, or with the problem."""
    cell, takes = pl.col("cell"), pl.col("takes")
    is_address = cell.str.contains("@", literal=True) & ~cell.str.starts_with("@")
    problem = (
        pl.when(pl.col("problem").is_not_null())
        .then(pl.col("problem"))
        .when((cell == "") & pl.col("value_hash").is_null())
        .then(pl.lit("The row has neither an address nor a domain."))
        .when(is_address & (takes == "domain"))
        .then(_sentence("'{}' is an address where a domain should be."))
        .when((cell != "") & (takes == "email") & ~cell.str.contains("@", literal=True))
        .then(_sentence("'{}' is not an email address. Write a domain with an @ before it."))
    )
    kind = pl.when(cell == "").then(takes).when(is_address).then(pl.lit("email")).otherwise(pl.lit("domain"))
    return rows.with_columns(problem.alias("problem"), pl.when(problem.is_null()).then(kind).alias("kind"))


def _with_values(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with their `address` or `domain`, or the problem."""
    cell, kind = pl.col("cell"), pl.col("kind")
    checked = check_addresses(rows.select(pl.when(kind == "email").then(cell)).to_series())
    named = rows.select(pl.when((kind == "domain") & (cell != "")).then(cell)).to_series()
    domain = _domains(named)
    no_domain = pl.when(named.is_not_null() & domain.is_null()).then(
        _sentence("'{}' is not a domain such as example.com.")
    )
    return rows.with_columns(
        checked["address"],
        domain.alias("domain"),
        pl.coalesce("problem", checked["problem"], no_domain).alias("problem"),
    )


def _domains(cells: pl.Series) -> pl.Series:
    """Return the domain of each cell with an @ before it, or null; only unusual forms are parsed one by one."""
    lower = cells.str.to_lowercase()
    is_plain = is_plain_name(lower) & lower.str.contains(_DOMAIN)
    parsed = {cell: _domain(cell) for cell in cells.filter(~is_plain).unique().to_list()}
    single = cells.replace_strict(parsed, default=None, return_dtype=pl.String)
    plain = "@" + lower.str.strip_prefix("@")
    return plain.zip_with(is_plain.fill_null(value=False), single)


def _domain(cell: str) -> str | None:
    try:
        return f"@{plain_domain(cell)}"
    except ValueError:
        return None


def _sentence(sentence: str) -> pl.Expr:
    cell = pl.col("cell")
    is_short = cell.str.len_chars() <= SHOWN_CHARACTERS
    shown = pl.when(is_short).then(cell).otherwise(cell.str.slice(0, SHOWN_CHARACTERS) + "…")
    return pl.format(sentence, shown)
