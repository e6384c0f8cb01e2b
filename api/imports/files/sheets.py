"""The process that writes one sheet of a workbook as CSV to its standard output, within the limits it is given."""

import csv
import errno
import resource
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from zipfile import BadZipFile, ZipFile

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from api.imports.files.kinds import detect_archive

REFUSED = 3
"""The exit code if standard error has a sentence for the user."""
MARKUP = 4
"""The largest ratio of a workbook's size to its text."""
EXACT = 1e15
"""Integers below this are exact as floats."""

Cell = int | float | str | bool | time | date | datetime | timedelta


class Refused(Exception):
    """The workbook cannot be read; the sentence says why and what to do."""


def main(arguments: Sequence[str]) -> int:
    """Write a sheet; the arguments are path, output bytes, memory bytes, seconds, and optionally the sheet's name."""
    path, most_bytes, memory_bytes, seconds, *sheet = arguments
    for limit, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, most_bytes),
        (resource.RLIMIT_CORE, "0"),
    ):
        resource.setrlimit(limit, (int(most), int(most)))
    try:
        _check(path, int(most_bytes))
        _write(_choose(CalamineWorkbook.from_path(path), *sheet))
    except Refused as refusal:
        return _refuse(str(refusal))
    except PasswordError:
        return _refuse("The workbook is protected by a password. Save it without a password and upload it again.")
    except BadZipFile:
        return _refuse("The file begins as an Excel workbook or a ZIP archive and is damaged. Upload it again.")
    except (CalamineError, EOFError) as error:
        return _refuse(f"The workbook is damaged. Save it again, or as CSV, and upload that file ({error}).")
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        return _refuse(f"The sheet holds more than {int(most_bytes) / 1024**2:,.0f} MB of text. Split it.")
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.buffer.write(sentence.encode())
    return REFUSED


def _check(path: str, most_bytes: int) -> None:
    with ZipFile(path) as archive:
        members = archive.infolist()
    if refusal := detect_archive([member.filename for member in members]):
        raise Refused(refusal)
    if any(member.flag_bits & 1 for member in members):
        raise Refused("The workbook is protected by a password. Save it without a password and upload it again.")
    if sum(member.file_size for member in members) > MARKUP * most_bytes:
        raise Refused(f"The workbook contains more than {most_bytes / 1024**2:,.0f} MB of text. Split it.")


def _choose(workbook: CalamineWorkbook, name: str | None = None) -> CalamineSheet:
    """Return the sheet with this name, or the first visible sheet that is not empty."""
    tables = [metadata for metadata in workbook.sheets_metadata if metadata.typ == SheetTypeEnum.WorkSheet]
    visible = [table.name for table in tables if table.visible == SheetVisibleEnum.Visible]
    if name is not None:
        for table in tables:
            if table.name.strip().lower() == name.strip().lower():
                return workbook.get_sheet_by_name(table.name)
        names = ", ".join(f"'{sheet_name}'" for sheet_name in visible)
        raise Refused(f"The workbook has no sheet called '{name}'. Its sheets are {names}.")
    for sheet in map(workbook.get_sheet_by_name, visible):
        if any(any(display_cell(cell).strip() for cell in row) for row in sheet.iter_rows()):
            return sheet
    raise Refused("The workbook has no visible sheet with cells.")


def _write(sheet: CalamineSheet) -> None:
    with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as target:
        csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(_rows(sheet))


def _rows(sheet: CalamineSheet) -> Iterator[list[str]]:
    """Yield all rows from the first row of the sheet, so that line numbers are right."""
    for row in sheet.iter_rows():
        yield [cell if type(cell) is str and "\x00" not in cell else display_cell(cell) for cell in row]


def display_cell(cell: Cell) -> str:
    """Return a cell as text: integers without a decimal point, dates in ISO 8601."""
    match cell:
        case str():
            return cell.replace("\x00", "")
        case bool():
            return "TRUE" if cell else "FALSE"
        case int() | float():
            return str(int(cell)) if abs(cell) < EXACT and cell == int(cell) else format(cell, ".15g")
    return _moment(cell)


def _moment(cell: time | date | timedelta) -> str:
    match cell:
        case datetime():
            whole = _to_the_second(cell)
            return whole.date().isoformat() if whole.time() == time() else whole.isoformat()
        case time():
            return _to_the_second(datetime.combine(date.min, cell)).time().isoformat()
        case timedelta():
            minutes, seconds = divmod(round(cell.total_seconds()), 60)
            return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return cell.isoformat()


def _to_the_second(moment: datetime) -> datetime:
    """Return a time without the fractions of a second that spreadsheets' day numbers cause."""
    return (moment + timedelta(microseconds=500_000)).replace(microsecond=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
