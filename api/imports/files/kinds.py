"""Detects files that are not text tables by their first bytes."""

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
OLD_OFFICE = b"\xd0\xcf\x11\xe0"

_AS_CSV = "save it as CSV and upload that."
_PACKED = "is compressed in a way that is not read: unpack it, or compress it with gzip."
_BINARY = {
    b"PK\x05\x06": "is an empty ZIP archive.",
    b"BZh": _PACKED,
    b"\xfd7zXZ": _PACKED,
    b"7z\xbc\xaf": _PACKED,
    b"Rar!": _PACKED,
    b"\x28\xb5\x2f\xfd": _PACKED,
    GZIP: "is compressed twice: unpack it once.",
    b"%PDF": f"is a PDF, not a table: open the table it was made from, {_AS_CSV}",
    b"\x89PNG": "is an image, not a table.",
    b"\xff\xd8\xff": "is an image, not a table.",
    b"SQLite format 3": f"is a database, not a table: export the table, {_AS_CSV}",
    b"PAR1": f"is a Parquet file: {_AS_CSV}",
}
_MARKUP = (b"<html", b"<!doctype", b"<table", b"<?xml", b"<head", b"<meta")
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def detect_unreadable_kind(head: bytes, directory: bytes) -> str | None:
    """Return what a file with this beginning is and what to do, or None if it may be text.

    An old Office file is a container, whose `directory` names what is in it.
    """
    if head.startswith(OLD_OFFICE):
        if _ENCRYPTED in head or _ENCRYPTED in directory:
            return "The workbook is protected by a password. Save it without a password and upload it again."
        return "The file is an old Excel workbook (.xls): save it as .xlsx or CSV and upload that."
    for mark, what in _BINARY.items():
        if head.startswith(mark):
            return f"The file {what}"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower().startswith(_MARKUP):
        return "The file is a web page or XML, whatever its name says: open it in a spreadsheet program, " + _AS_CSV
    return None


def detect_archive(names: list[str]) -> str | None:
    """Return what a ZIP archive of these files is and what to do, or None if it is a workbook."""
    members = {name.replace("\\", "/").lower() for name in names}
    if "xl/workbook.bin" in members:
        return "The file is a binary Excel workbook (.xlsb): save it as .xlsx or CSV and upload that."
    if any(name.startswith("xl/") for name in members):
        return None
    if "mimetype" in members and "content.xml" in members:
        return "The file is an OpenDocument file (.ods): save it as .xlsx or CSV and upload that."
    if any(name.endswith(".iwa") for name in members):
        return "The file is a Numbers document: export it as CSV or Excel and upload that."
    if "word/document.xml" in members or any(name.startswith("ppt/") for name in members):
        return f"The file is a document, not a workbook: copy the table into a spreadsheet, {_AS_CSV}"
    return "The file is a ZIP archive: unpack it and upload the table that is in it."
