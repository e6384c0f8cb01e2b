import io
from collections.abc import Sequence
from typing import Any

import pytest

from api.imports.files.text import UnreadableFile, open_text
from api.people.suppressions.files import GUARDED, RowDefaults, read_file, read_rows
from domain.suppression import SuppressionReason

OWN = "kind,value,valueHash,reason,source,suppressedAt\n"
HASH = "ab" * 32


def read(data: str | bytes) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    raw = data.encode() if isinstance(data, str) else data
    with open_text(io.BytesIO(raw)) as text:
        rows = read_rows(read_file(text), RowDefaults(SuppressionReason.MANUAL, "a file"))
        return [row for frame in rows for row in frame.to_dicts()]


def values(rows: Sequence[dict[str, Any]]) -> list[str | None]:
    """Return who the sound rows say."""
    return [row["value"] for row in rows if row["problem"] is None]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("Email\nAnn@Example.com\nbob@example.com\n", ["ann@example.com", "bob@example.com"]),
        ("Name;E-Mail;City\nAnn;ann@example.com;Ulm\n", ["ann@example.com"]),
        ("Name\tE-mail Address\nAnn\t ann@example.com \n", ["ann@example.com"]),
        ("Address,Email\n1 Long Street,ann@example.com\n", ["ann@example.com"]),
        ("address\nann@example.com\n", ["ann@example.com"]),
        ("Domain\nExample.com\n@example.org\n", ["@example.com", "@example.org"]),
        ("Company domain,Notes\nexample.com,no\n", ["@example.com"]),
        ("email,domain\nann@example.com,example.com\n,example.org\n", ["ann@example.com", "@example.org"]),
        ("Correo,Ciudad\nann@example.com,Ulm\n", ["ann@example.com"]),
        ("ann@example.com\nexample.org\n@example.net\n", ["ann@example.com", "@example.org", "@example.net"]),
        ("example.org\nann@example.com\n", ["@example.org", "ann@example.com"]),
        ("example.org\n", ["@example.org"]),
        ("@example.org\n", ["@example.org"]),
        ("Blocked\n\nexample.org\nann@example.com\n", ["@example.org", "ann@example.com"]),
        ("1,ann@example.com,x\n2,bob@example.com,y\n", ["ann@example.com", "bob@example.com"]),
        ("email\njürgen@müller.de\nann@xn--mller-kva.de\n", ["jürgen@müller.de", "ann@müller.de"]),
        ("email\n=ann@example.com\n'ann@example.com\n", ["=ann@example.com", "'ann@example.com"]),
        ("email\n@example.com\n", ["@example.com"]),
    ],
)
def test_any_file(data: str, expected: list[str]) -> None:
    """Addresses and domains are found by the column's name, or by what the column holds, with and without a header."""
    rows = read(data)
    assert values(rows) == expected
    assert {row["kind"] for row in rows} == {"domain" if one.startswith("@") else "email" for one in expected}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_any_encoding(encoding: str) -> None:
    """The encodings that people's programs write are read."""
    assert values(read("E-Mail;Stadt\nann@example.com;Köln\n".encode(encoding))) == ["ann@example.com"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("not an address,x", "'not an address' is not an email address"),
        ("example.com,x", "Write a domain with an @ before it"),
        ("@not a domain,x", "is not a domain such as example.com"),
        ("ann@server.local,x", "is not an email address"),
        (",x", "neither an address nor a domain"),
        ("ann@example.com,x,y,z", "4 cells where the header has 2"),
        (f"{'x' * 300}@example.com,x", "…' is not an email address"),
    ],
)
def test_invalid_row(row: str, message: str) -> None:
    """A row that names no address is reported with what it holds, cut to a readable length; the others are read."""
    rows = read(f"email,note\nann@example.com,\n{row}\nbob@example.com,\n")
    assert values(rows) == ["ann@example.com", "bob@example.com"]
    (invalid,) = [row for row in rows if row["problem"]]
    assert invalid["line_number"] == 3
    assert message in str(invalid["problem"])
    assert len(str(invalid["cell"])) <= 100


def test_a_domain_is_never_guessed() -> None:
    """In a column of addresses a bare domain suppresses nothing, nor does an address in a column of domains."""
    assert values(read("email\nann@example.com\ngmail.com\n")) == ["ann@example.com"]
    assert values(read("domain\nexample.com\nann@gmail.com\n")) == ["@example.com"]


def test_our_own_export() -> None:
    """Kind, reason, source, time and hash of our own rows are theirs; what they leave open is the call's."""
    rows = read(
        OWN
        + f"email,ann@example.com,{HASH},complaint,a call,2026-03-02T09:00:00.000001Z\n"
        + f"domain,example.com,{HASH},domain,by hand,2026-03-02T11:00:00+02:00\n"
        + f"email,,{HASH.upper()},manual,erased,spoilt\n"
        + "email,bob@example.com,,,,\n"
    )
    assert [(row["kind"], row["value"], row["value_hash"], row["reason"], row["source"]) for row in rows] == [
        ("email", "ann@example.com", HASH, "complaint", "a call"),
        ("domain", "@example.com", HASH, "domain", "by hand"),
        ("email", None, HASH, "manual", "erased"),
        ("email", "bob@example.com", None, "manual", "a file"),
    ]
    times = [row["suppressed_at"] for row in rows]
    assert times == ["2026-03-02T09:00:00.000001+00:00", "2026-03-02T09:00:00.000000+00:00", None, None]
    assert not any(row["problem"] for row in rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("person,ann@example.com,,manual,,", "must be email or domain"),
        ("email,ann@example.com,,because,,", "The reason must be one of"),
        ("email,ann@example.com,,domain,,", "The reason must be one of"),
        ("domain,example.com,,manual,,", "The reason must be one of"),
        ("email,,abc,manual,,", "neither an address nor a domain"),
        ("email,,,manual,,", "neither an address nor a domain"),
        ("domain,ann@example.com,,domain,,", "is an address where a domain should be"),
    ],
)
def test_our_own_export_spoilt(row: str, message: str) -> None:
    """A row of an export that was changed into nonsense is told, not guessed at."""
    (read_row,) = read(f"{OWN}{row}\n")
    assert message in str(read_row["problem"])


def test_a_guard_is_taken_off_our_own_export_alone() -> None:
    """The apostrophe that keeps a cell from being a formula goes; an address that begins with one keeps it."""
    rows = read(f"{OWN}email,'=ann@example.com,,,'-x,\nemail,''+a@example.com,,,'x,\n")
    assert values(rows) == ["=ann@example.com", "'+a@example.com"]
    assert [row["source"] for row in rows] == ["-x", "'x"]
    assert GUARDED.startswith("^'")


@pytest.mark.parametrize(
    "data", [b"", b"Name,City\nAnn,Ulm\n", b"a\x00b\n", b"PK\x03\x04" + bytes(100), b"email\nno\n", b"Email\n"]
)
def test_unreadable(data: bytes) -> None:
    """What is no table, or one without addresses and domains, is refused as a whole."""
    with pytest.raises(UnreadableFile):
        read(data)
