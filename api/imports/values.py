"""The values of a lead from the cells of a row: its address or the problem with it, names, segment and the rest."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from ai.workflows.csv_mapping.state import REPEATABLE, ColumnMapping, Target
from api.imports.files.addresses import check_addresses
from api.imports.files.records import BLANKS
from api.imports.packing import LINE
from api.imports.timezones import parse_timezone
from domain.blank_values import is_blank, is_blank_first_name, is_blank_last_name
from domain.lead import MAX_LINE_CHARACTERS, LeadSegment, SegmentThresholds
from domain.lead_import import LEAD_FIELDS
from domain.opt_outs import PRECEDENCE, OptOutColumn, OptOutKind, read_cell, read_header
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
MAX_SEGMENT_CHARACTERS = 200
"""The beginning of a longer cell with a segment or a number of employees is read."""
MAX_COUNT_LENGTH = 40
"""The most characters of a number of employees; a number with many more digits is infinite as a float."""

_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]"
_CONTROL_PROBLEM = (
    "The {} has a control character. The file may have another encoding than the import: upload it with encoding set."
)

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
    opt_outs: Mapping[int, OptOutColumn] = field(default_factory=dict)
    """How the cell at a position says not to mail the person."""
    watched: frozenset[int] = frozenset()
    """Those of `opt_outs` that are mapped as custom fields: statuses of which no sample said so."""


def get_file_columns(mapping: Sequence[ColumnMapping], sizes: SegmentThresholds) -> FileColumns:
    """Return which cells fill which fields by a mapping."""
    custom = [
        (column.custom_name or column.header, column.position) for column in mapping if column.target is Target.CUSTOM
    ]
    used = {name.casefold() for name, _ in custom}
    leftovers = {}
    opt_outs = {column.position: read_header(column.header) for column in mapping if column.target is Target.OPT_OUT}
    for column in mapping:
        if column.target in {Target.SEGMENT, Target.TIMEZONE}:
            leftovers[column.target] = _unused_name(column.header, used)
            used.add(leftovers[column.target].casefold())
        elif column.position in opt_outs and opt_outs[column.position].kind is OptOutKind.STATUS:
            # The status of a person who may be mailed.
            custom.append((_unused_name(column.header, used), column.position))
            used.add(custom[-1][0].casefold())
    fields = {column.target: column.position for column in mapping if column.target not in REPEATABLE}
    watched = {
        column.position: header
        for column in mapping
        if column.target is Target.CUSTOM
        and column.decided_by != "person"
        and (header := read_header(column.header)).kind is OptOutKind.STATUS
    }
    return FileColumns(fields, custom, leftovers, sizes, opt_outs | watched, frozenset(watched))


def _unused_name(header: str, used: set[str]) -> str:
    name, number = header, 1
    while name.casefold() in used:
        number += 1
        name = f"{header} ({number})"
    return name


def find_problems(rows: pl.DataFrame, columns: FileColumns) -> pl.DataFrame:
    """Return `line_number`, `email` or `problem`, `opt_out` and `has_unknown_timezone` of each row.

    A row has an address, or the reason why it cannot be used. `opt_out` is why the row says not to mail its address.
    For such a row only problems of the address count, because it becomes no lead.
    """
    checked = check_addresses(rows.select(_cell(columns.fields[Target.EMAIL])).to_series(), has_apostrophes=True)
    lines = _lines(rows, columns)
    problems = []
    for target, name in _LINES.items():
        length = lines[target].str.len_chars()
        sentence = pl.format("The {} has {} characters; the limit is {}.", pl.lit(name), length, MAX_LINE_CHARACTERS)
        problems.append(pl.when(length > MAX_LINE_CHARACTERS).then(sentence))
        control = lines[target].str.contains(_CONTROL)
        problems.append(pl.when(control).then(pl.lit(_CONTROL_PROBLEM.format(name))))
    address = pl.Series("address", checked["address"])
    no_address = pl.when(address.is_null()).then(pl.lit("The row has no email address."))
    opt_out = find_opt_outs(rows, columns)
    result = rows.select(
        LINE,
        address.alias("email"),
        pl.coalesce(
            pl.col("error"),
            pl.Series("wrong", checked["problem"]),
            pl.when(opt_out.is_null()).then(pl.coalesce(problems)),
            no_address,
        ).alias("problem"),
        opt_out,
        _has_unknown_timezone(rows, columns).alias("has_unknown_timezone"),
    )
    is_sound = pl.col("problem").is_null()
    return result.with_columns(
        *(pl.when(is_sound).then(pl.col(name)).alias(name) for name in ("email", "opt_out")),
        has_unknown_timezone=is_sound & opt_out.is_null() & pl.col("has_unknown_timezone"),
    )


def _has_unknown_timezone(rows: pl.DataFrame, columns: FileColumns) -> pl.Expr:
    """Return whether the time zone of each row is filled, but names no zone or may mean several."""
    if Target.TIMEZONE not in columns.fields:
        return pl.lit(value=False)
    zones, _ = _recognise_timezones(rows, columns)
    return _filled(rows, columns.fields[Target.TIMEZONE]).fill_null("").ne("") & zones.is_null()


def find_opt_outs(rows: pl.DataFrame, columns: FileColumns) -> pl.Series:
    """Return for each row, as `opt_out`, why it says not to mail its address; null if it does not say so."""
    readings = [_read_opt_outs(rows, position, column) for position, column in columns.opt_outs.items()]
    by_precedence = [
        pl.when(pl.any_horizontal(cells == reason.value for cells in readings)).then(pl.lit(reason.value))
        for reason in PRECEDENCE
        if readings
    ]
    combined = pl.coalesce(*by_precedence, pl.lit(None, pl.String)).alias("opt_out")
    return rows.select(LINE, combined).get_column("opt_out")


def find_watched_opt_outs(rows: pl.DataFrame, columns: FileColumns) -> set[int]:
    """Return the positions of watched columns with a cell that says not to mail."""
    return {
        position
        for position in columns.watched
        if _read_opt_outs(rows, position, columns.opt_outs[position]).is_not_null().any()
    }


def _read_opt_outs(rows: pl.DataFrame, position: int, column: OptOutColumn) -> pl.Series:
    """Return the reason of each cell of a column, null for a cell that is no opt-out."""
    cells = rows.get_column(str(position))
    # Each distinct cell is read once.
    reasons = {text: reason.value for text in cells.unique() if text and (reason := read_cell(text, column))}
    if not reasons:
        return pl.repeat(None, rows.height, dtype=pl.String, eager=True)
    return cells.replace_strict(reasons, default=None, return_dtype=pl.String)


def lead_values(rows: pl.DataFrame, columns: FileColumns) -> pl.DataFrame:
    """Return `line_number`, LEAD_FIELDS and `custom_fields` (a JSON object; blank is null) of rows without errors."""
    rows = rows.filter(pl.col("error").is_null())
    lines = _lines(rows, columns)
    segments, sizes = _recognise(rows, columns, Target.SEGMENT, lambda cell: parse_segment(cell, columns.sizes))
    zones, _ = _recognise_timezones(rows, columns)
    is_left_over = {
        Target.SEGMENT: segments.is_null() | sizes,
        Target.TIMEZONE: zones.is_null(),
    }
    custom = [_filled(rows, position).alias(name) for name, position in columns.custom]
    custom += [
        pl.when(is_left_over[target]).then(_filled(rows, columns.fields[target])).alias(name)
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


def _filled(rows: pl.DataFrame, position: int) -> pl.Expr:
    """Return a cell, null if it is blank or only says that there is no value, such as `N/A`."""
    cell = _cell(position)
    blank = [text for text in rows.select(cell.unique()).to_series() if text is not None and is_blank(text)]
    return pl.when(~cell.is_in(blank)).then(cell)


def _lines(rows: pl.DataFrame, columns: FileColumns) -> dict[Target, pl.Expr]:
    """Return names, company and role; names without a cell, or with a blank one, come from the full name."""
    lines = {
        target: _cell(columns.fields[target]) if target in columns.fields else pl.lit(None, pl.String)
        for target in _LINES
    }
    for target in (Target.COMPANY, Target.ROLE):
        if target in columns.fields:
            lines[target] = _filled(rows, columns.fields[target])
    lines[Target.FIRST_NAME], lines[Target.LAST_NAME] = _without_blank_names(rows, lines)
    if Target.FULL_NAME in columns.fields:
        first, last = _names(_filled(rows, columns.fields[Target.FULL_NAME]))
        lines[Target.FIRST_NAME] = pl.coalesce(lines[Target.FIRST_NAME], first)
        lines[Target.LAST_NAME] = pl.coalesce(lines[Target.LAST_NAME], last)
    return {target: pl.coalesce(line, pl.lit("")) for target, line in lines.items()}


def _without_blank_names(rows: pl.DataFrame, lines: Mapping[Target, pl.Expr]) -> tuple[pl.Expr, pl.Expr]:
    """Return the first and the last name, null if it is missing; a last name such as Null may be one."""
    first, last = lines[Target.FIRST_NAME], lines[Target.LAST_NAME]
    first_names = rows.select(first.unique()).to_series()
    blank_firsts = [name for name in first_names if name is not None and is_blank_first_name(name)]
    suspects = [name for name in rows.select(last.unique()).to_series() if name is not None and is_blank(name)]
    # Few names are suspects, so the rows with them are looked at one by one.
    pairs = rows.select(first.alias("first"), last.alias("last")).filter(pl.col("last").is_in(suspects)).unique()
    kept = [
        f"{first_name or ''}\x00{last_name}"
        for first_name, last_name in pairs.iter_rows()
        if not is_blank_last_name(last_name, first_name or "")
    ]
    key = pl.concat_str(pl.coalesce(first, pl.lit("")), pl.lit("\x00"), last)
    return (
        pl.when(~first.is_in(blank_firsts)).then(first),
        pl.when(~last.is_in(suspects) | key.is_in(kept)).then(last),
    )


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


def _recognise_timezones(rows: pl.DataFrame, columns: FileColumns) -> tuple[pl.Expr, pl.Expr]:
    return _recognise(rows, columns, Target.TIMEZONE, lambda cell: (parse_timezone(cell), False))


def parse_segment(cell: str, sizes: SegmentThresholds) -> tuple[LeadSegment | None, bool]:
    """Return the segment that a cell names or that follows from its number of employees, and whether it follows."""
    cell = cell[:MAX_SEGMENT_CHARACTERS]
    words = fold_words(cell).split()
    named = {_SEGMENT_OF[word] for word in words if word in _SEGMENT_OF and (len(word) > 2 or len(words) == 1)}  # noqa: PLR2004 - a letter is a size where it stands alone
    if named:
        return min(named, key=_SIZES.index), False
    employees = parse_employees(cell)
    return (sizes.classify(employees), True) if employees is not None else (None, False)


def parse_employees(cell: str) -> int | None:
    """Return the number of employees in a cell; for a range its lower end: `51-200`, `10k+`."""
    cell = cell[:MAX_SEGMENT_CHARACTERS]
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
