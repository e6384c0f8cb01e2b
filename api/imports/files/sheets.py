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
"""The exit code with which a sentence for people stands on standard error."""
MARKUP = 4
"""A workbook is so many times as large as the text in it, at most."""
EXACT = 1e15
"""Numbers below this are whole to the last digit, in spreadsheets and here."""

Cell = int | float | str | bool | time | date | datetime | timedelta


class Refused(Exception):
    """The workbook cannot be read; the sentence says why and what to do."""


def main(arguments: Sequence[str]) -> int:
    """Write a sheet; the arguments are path, bytes to write, bytes of memory, seconds, and the sheet's name if any."""
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
        return _refuse("The file begins as an Excel workbook or a ZIP archive and is damaged: upload it again.")
    except (CalamineError, EOFError) as error:
        return _refuse(f"The workbook is damaged: save it anew, or as CSV, and upload that ({error}).")
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        return _refuse(f"The sheet holds more than {int(most_bytes) / 1024**2:,.0f} MB of text: split it.")
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.buffer.write(sentence.encode())
    return REFUSED


def _check(path: str, most_bytes: int) -> None:
    with ZipFile(path) as archive:
        held = archive.infolist()
    if refusal := detect_archive([one.filename for one in held]):
        raise Refused(refusal)
    if any(one.flag_bits & 1 for one in held):
        raise Refused("The workbook is protected by a password. Save it without a password and upload it again.")
    if sum(one.file_size for one in held) > MARKUP * most_bytes:
        raise Refused(f"The workbook contains more than {most_bytes / 1024**2:,.0f} MB of text: split it.")


def _choose(workbook: CalamineWorkbook, name: str | None = None) -> CalamineSheet:
    """Return the sheet of a name, or the first visible one that holds anything."""
    tables = [one for one in workbook.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
    visible = [one.name for one in tables if one.visible == SheetVisibleEnum.Visible]
    if name is not None:
        for one in tables:
            if one.name.strip().lower() == name.strip().lower():
                return workbook.get_sheet_by_name(one.name)
        there = ", ".join(f"'{one}'" for one in visible)
        raise Refused(f"The workbook has no sheet called '{name}'; it has {there}.")
    for sheet in map(workbook.get_sheet_by_name, visible):
        if any(any(display_cell(cell).strip() for cell in row) for row in sheet.iter_rows()):
            return sheet
    raise Refused("The workbook has no visible sheet with cells.")


def _write(sheet: CalamineSheet) -> None:
    with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as target:
        csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(_rows(sheet))


def _rows(sheet: CalamineSheet) -> Iterator[list[str]]:
    """Yield all rows from the sheet's first on, so that lines are counted as they are."""
    for row in sheet.iter_rows():
        yield [cell if type(cell) is str and "\x00" not in cell else display_cell(cell) for cell in row]


def display_cell(cell: Cell) -> str:
    """Return a cell as a person sees it: whole numbers without a point, dates as ISO 8601 writes them."""
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
    """Return a moment without the fractions that a spreadsheet's way of counting days leaves."""
    return (moment + timedelta(microseconds=500_000)).replace(microsecond=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
