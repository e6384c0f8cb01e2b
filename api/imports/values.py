"""The values of a lead from the cells of a row: its address or the problem with it, names, segment and the rest."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

import polars as pl

from ai.workflows.csv_mapping.state import ColumnMapping, Target
from api.imports.files.addresses import check_addresses
from api.imports.files.records import BLANKS
from api.imports.packing import LINE
from api.people.leads.schemas import MAX_LINE_CHARACTERS
from domain.lead import LeadSegment, SegmentThresholds
from domain.lead_import import LEAD_FIELDS
from domain.words import fold_words

_LINES = {
    Target.FIRST_NAME: "first name",
    Target.LAST_NAME: "last name",
    Target.COMPANY: "company",
    Target.ROLE: "role",
}
_COLUMNS = dict(zip((*_LINES, Target.SEGMENT, Target.TIMEZONE), LEAD_FIELDS, strict=True))

_SIZE_WORDS = {
    LeadSegment.SMB: "smb sme smes small micro startup klein kleinst kleine kleinunternehmen kleinbedrijf kmu tpe pme "
    "mkb pyme pymes pmi petit petite pequena pequeno microempresa piccola piccolo mikroonderneming s xs",
    LeadSegment.MID_MARKET: "mid midmarket midsize midsized medium mittel mittlere mittelgross mittelstand "
    "mittelstandler moyen moyenne eti middel middelgroot middenbedrijf mediana mediano media medio m",
    LeadSegment.ENTERPRISE: "enterprise enterprises large corporate strategic gross grossunternehmen konzern groot "
    "grootbedrijf grand grande gran l xl xxl",
}
"""The words that name a segment; if a cell names several, the first segment here counts: `small enterprise`."""
_SEGMENT_OF = {word: segment for segment, words in reversed(_SIZE_WORDS.items()) for word in words.split()}
_SIZES = tuple(_SIZE_WORDS)
_NUMBER = re.compile(r"(\d{1,3}(?:[.,' \u00a0\u2019]\d{3})+(?!\d)|\d+(?:[.,]\d+)?)\s*([km](?![a-z]))?", re.IGNORECASE)
_BELOW = re.compile(r"\s*(?:<|less than|under|below|unter|weniger als|moins de|minder dan|menos de)", re.IGNORECASE)
_THOUSANDS = {"k": 1_000, "m": 1_000_000}
MAX_COUNT_LENGTH = 40
"""The most characters of a number of employees; a number with many more digits is infinite as a float."""

# A word that could be a name or an initial is a title only with its full stop.
_TITLES = (
    r"(?i)^(?:(?:mr|mrs|ms|miss|mx|dr|prof|professor|sir|herr|frau|mme|mlle|monsieur|madame|mnr|mev|mej|dhr|mevr|srta"
    r"|dipl\.?-ing)(?:\.\s*|\s+)|(?:m|fr|hr|sr|sra|ing|ir|hon|adv|rev|me)\.\s*)+"
)
_DEGREES = (
    r"(?i)(?:,\s*(?:ph\.?\s?d|d\.?phil|mba|emba|m\.?sc|b\.?sc|m\.?a|b\.?a|b\.?com|m\.?com|b\.?eng|m\.?eng|ca|ca\(sa\)|cpa"
    r"|cfa|cfp|cima|acca|pmp|md|m\.d|esq|jr|sr|ii|iii|iv|llm|llb|cissp|phr|shrm-cp|pe|rn)\.?)+$"
)


@dataclass(frozen=True, slots=True)
class FileColumns:
    """Which cell of a row fills which field, and from which number of employees a company is of which segment."""

    fields: Mapping[Target, int]
    """The position of the cell for each single target."""
    custom: Sequence[tuple[str, int]]
    """Name and position of every custom field."""
    leftovers: Mapping[Target, str]
    """The custom field that stores a cell whose text does not fit its target exactly."""
    sizes: SegmentThresholds


def get_file_columns(mapping: Sequence[ColumnMapping], sizes: SegmentThresholds) -> FileColumns:
    """Return which cells fill which fields by a mapping."""
    custom = [
        (column.custom_name or column.header, column.position) for column in mapping if column.target is Target.CUSTOM
    ]
    used = {name.casefold() for name, _ in custom}
    leftovers = {}
    for column in mapping:
        if column.target in {Target.SEGMENT, Target.TIMEZONE}:
            leftovers[column.target] = _unused_name(column.header, used)
            used.add(leftovers[column.target].casefold())
    fields = {
        column.target: column.position for column in mapping if column.target not in {Target.CUSTOM, Target.IGNORE}
    }
    return FileColumns(fields, custom, leftovers, sizes)


def _unused_name(header: str, used: set[str]) -> str:
    name, number = header, 1
    while name.casefold() in used:
        number += 1
        name = f"{header} ({number})"
    return name


def find_problems(rows: pl.DataFrame, columns: FileColumns) -> pl.DataFrame:
    """Return `line_number`, and `email` or `problem`: the address of each row, or why the row cannot be used."""
    checked = check_addresses(rows.select(_cell(columns.fields[Target.EMAIL])).to_series())
    problems = [pl.col("error"), pl.Series("wrong", checked["problem"])]
    lines = _lines(columns)
    for target, name in _LINES.items():
        length = lines[target].str.len_chars()
        sentence = pl.format("The {} has {} characters; the limit is {}.", pl.lit(name), length, MAX_LINE_CHARACTERS)
        problems.append(pl.when(length > MAX_LINE_CHARACTERS).then(sentence))
    address = pl.Series("address", checked["address"])
    problems.append(pl.when(address.is_null()).then(pl.lit("The row has no email address.")))
    result = rows.select(LINE, address.alias("email"), pl.coalesce(problems).alias("problem"))
    return result.with_columns(pl.when(pl.col("problem").is_null()).then(pl.col("email")).alias("email"))


def lead_values(rows: pl.DataFrame, columns: FileColumns) -> pl.DataFrame:
    """Return `line_number`, LEAD_FIELDS and `custom_fields` (a JSON object; blank is null) of rows without errors."""
    rows = rows.filter(pl.col("error").is_null())
    lines = _lines(columns)
    segments, sizes = _recognise(rows, columns, Target.SEGMENT, lambda cell: parse_segment(cell, columns.sizes))
    zones, _ = _recognise(rows, columns, Target.TIMEZONE, lambda cell: (parse_timezone(cell), False))
    is_left_over = {
        Target.SEGMENT: segments.is_null() | sizes,
        Target.TIMEZONE: zones.is_null(),
    }
    custom = [_filled(position).alias(name) for name, position in columns.custom]
    custom += [
        pl.when(is_left_over[target]).then(_filled(columns.fields[target])).alias(name)
        for target, name in columns.leftovers.items()
    ]
    values = {**lines, Target.SEGMENT: segments, Target.TIMEZONE: zones}
    return rows.select(
        LINE,
        *(value.alias(_COLUMNS[target]) for target, value in values.items()),
        (pl.struct(custom).struct.json_encode() if custom else pl.lit("{}")).alias("custom_fields"),
    )


def _cell(position: int) -> pl.Expr:
    return pl.col(str(position)).str.strip_chars(BLANKS)


def _filled(position: int) -> pl.Expr:
    return pl.when(_cell(position) != "").then(_cell(position))


def _lines(columns: FileColumns) -> dict[Target, pl.Expr]:
    """Return names, company and role; names without a cell, or with a blank one, come from the full name."""
    given = {target: _filled(columns.fields[target]) for target in _LINES if target in columns.fields}
    lines = {target: given.get(target, pl.lit(None, pl.String)) for target in _LINES}
    if Target.FULL_NAME in columns.fields:
        first, last = _names(_cell(columns.fields[Target.FULL_NAME]))
        lines[Target.FIRST_NAME] = pl.coalesce(lines[Target.FIRST_NAME], first)
        lines[Target.LAST_NAME] = pl.coalesce(lines[Target.LAST_NAME], last)
    return {target: pl.coalesce(line, pl.lit("")) for target, line in lines.items()}


def _names(whole: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Split a full name: `Lee, Ann` at the comma, others after the first word, without titles and degrees."""
    bare = whole.str.replace(_DEGREES, "").str.replace(_TITLES, "")
    has_comma = bare.str.contains(",", literal=True)
    first = pl.when(has_comma).then(bare.str.extract(r",(.*)$")).otherwise(bare.str.extract(r"^(\S*)"))
    last = pl.when(has_comma).then(bare.str.extract(r"^([^,]*)")).otherwise(bare.str.extract(r"^\S*\s+(.*)$"))
    return first.str.strip_chars(BLANKS).str.replace(_TITLES, ""), last.str.strip_chars(BLANKS)


def _recognise(
    rows: pl.DataFrame, columns: FileColumns, target: Target, parse: Callable[[str], tuple[str | None, bool]]
) -> tuple[pl.Expr, pl.Expr]:
    """Return the values of the cells of a target, and whether each was inferred; each distinct cell is parsed once."""
    if target not in columns.fields:
        return pl.lit(None, pl.String), pl.lit(value=False)
    cell = _cell(columns.fields[target])
    parsed = {text: parse(text) for text in rows.select(cell.unique()).to_series() if text}
    values = {text: value for text, (value, _) in parsed.items()}
    inferred = {text: flag for text, (_, flag) in parsed.items()}
    return (
        cell.replace_strict(values, default=None, return_dtype=pl.String),
        cell.replace_strict(inferred, default=False, return_dtype=pl.Boolean),
    )


def parse_segment(cell: str, sizes: SegmentThresholds) -> tuple[LeadSegment | None, bool]:
    """Return the segment that a cell names or that follows from its number of employees, and whether it follows."""
    words = fold_words(cell).split()
    named = {_SEGMENT_OF[word] for word in words if word in _SEGMENT_OF and (len(word) > 2 or len(words) == 1)}  # noqa: PLR2004 - a letter is a size where it stands alone
    if named:
        return min(named, key=_SIZES.index), False
    employees = parse_employees(cell)
    return (sizes.classify(employees), True) if employees is not None else (None, False)


def parse_employees(cell: str) -> int | None:
    """Return the number of employees in a cell; for a range its lower end: `51-200`, `10k+`."""
    match = _NUMBER.search(cell)
    if match is None:
        return None
    digits, unit = match[1], (match[2] or "").lower()
    if len(digits) > MAX_COUNT_LENGTH:
        return None
    if re.fullmatch(r"\d{1,3}(?:\D\d{3})+", digits):
        number = float(re.sub(r"\D", "", digits))
    else:
        number = float(digits.replace(",", "."))
    employees = int(number * _THOUSANDS.get(unit, 1))
    return max(employees - 1, 0) if _BELOW.match(cell) else employees


def parse_timezone(cell: str) -> str | None:
    """Return the IANA time zone that a cell names, in any case."""
    return _zones().get(cell.lower())


@cache
def _zones() -> Mapping[str, str]:
    return {zone.lower(): zone for zone in available_timezones()}
