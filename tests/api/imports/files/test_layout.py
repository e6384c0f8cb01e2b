import pytest

from api.imports.files.layout import MAX_COLUMNS, find_layout
from api.imports.files.text import UnreadableFile

LINKEDIN = (
    "Notes:\n"
    '"When exporting your connection data, you may notice that some of the email addresses are missing, '
    'because, well, privacy."\n'
    "\n"
    "First Name,Last Name,URL,Email Address,Company\n"
    "Ann,Lee,https://x.example/ann,ann@example.com,Acme\n"
    "Bob,Roe,https://x.example/bob,,Acme\n"
)
WIDE = ["Name", "Mail", "Phone", "City", "Note"]


def layout_of(text: str) -> tuple[str, list[str], int]:
    """Return delimiter, headers and first line of a file."""
    found = find_layout(text.rstrip("\n").split("\n"), at_end=True)
    return found.delimiter, found.headers, found.first_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Name,Mail\nAnn,ann@x.com\n", (",", ["Name", "Mail"], 2)),
        ("Name\tMail\nAnn, Dr.\tann@x.com\n", ("\t", ["Name", "Mail"], 2)),
        ("Name|Mail\nAnn|ann@x.com\n", ("|", ["Name", "Mail"], 2)),
        (
            "Name;Umsatz;Mail\nAnn;1,5;ann@x.com\nBob;2,5;bob@x.com\nEve;3,5;eve@x.com\n",
            (";", ["Name", "Umsatz", "Mail"], 2),
        ),
        ("sep=;\nName;Mail\nAnn;ann@x.com\n", (";", ["Name", "Mail"], 3)),
        (LINKEDIN, (",", ["First Name", "Last Name", "URL", "Email Address", "Company"], 5)),
        ("Report,2026-01-02\n\nName,Mail,City\nAnn,ann@x.com,Ulm\n", (",", ["Name", "Mail", "City"], 4)),
        ("Email\nann@x.com\nbob@x.com\n", (",", ["Email"], 2)),
        ("ann@x.com\nbob@x.com\n", (",", ["Column 1"], 1)),
        ("Ann,ann@x.com\nBob,bob@x.com\n", (",", ["Column 1", "Column 2"], 1)),
        ("Mail,,Mail,mail\na@x.com,1,2,3\n", (",", ["Mail", "Column 2", "Mail (2)", "mail"], 2)),
        ("Name,Mail\nAnn,ann@x.com,\nBob,bob@x.com,\n", (",", ["Name", "Mail", "Column 3"], 2)),
        ("Name,Mail,,\nAnn,ann@x.com\nBob,bob@x.com\n", (",", ["Name", "Mail"], 2)),
        ("sep=\t\nName\tMail\nAnn\tann@x.com\n", ("\t", ["Name", "Mail"], 3)),
        ("Made by a; b | c\nName,Mail\nAnn,ann@x.com\n", (",", ["Name", "Mail"], 3)),
        (
            "Name;Address\n" + "".join(f"Ann {at};Road {at}, 12345 Ulm, DE\n" for at in range(50)),
            (";", ["Name", "Address"], 2),
        ),
        ("Name;Preis;Rabatt\nAnn;1,5;2,5\nBob;3,5;4,5\n", (";", ["Name", "Preis", "Rabatt"], 2)),
        ("Exported by,ann@x.com\n\nName,Mail,City\nAnn,ann@x.com,Ulm\n", (",", ["Name", "Mail", "City"], 4)),
        ("Name,Mail,Phone,City,Note\nAnn,ann@x.com\nBob,Roe\nEve,eve@x.com\n", (",", WIDE, 2)),
        ("Name,Mail,Phone,City,Note\nBob,Roe,x\nAnn,ann@x.com,1\nEve,eve@x.com,2,Ulm,x\n", (",", WIDE, 2)),
        ("Name,Mail\nAnn,ann@x.com,1,2\nBob,bob@x.com,3,4\n", (",", ["Name", "Mail", "Column 3", "Column 4"], 2)),
        ("Name,Mail,\nAnn,ann@x.com,\n", (",", ["Name", "Mail", "Column 3"], 2)),
        ('"Name","Mail"\n"Lee; Ann; Dr","a@x.com"\n"Roe; Bob; Dr","b@x.com"\n', (",", ["Name", "Mail"], 2)),
        ('"First\nName",Mail\nAnn,ann@x.com\n', (",", ["First Name", "Mail"], 3)),
    ],
)
def test_layouts(text: str, expected: tuple[str, list[str], int]) -> None:
    """Delimiter, notes above the header, a missing header, and odd headers are found out."""
    assert layout_of(text) == expected


def test_too_many_columns() -> None:
    """A file with more columns than anybody maps is refused."""
    with pytest.raises(UnreadableFile, match="columns; the limit is 500"):
        layout_of("\n".join([",".join(f"c{number}" for number in range(MAX_COLUMNS + 1))] * 2))
