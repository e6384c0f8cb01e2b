"""Bounds and decisions of the service of suppressions."""

import csv
import io
from typing import Any

import pytest

from api.people.suppressions import service
from domain.suppression import SuppressionReason
from tests.acting import owner_session
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("file_name", "source"),
    [
        (None, "imported from a file"),
        ("", "imported from a file"),
        ("\x00", "imported from a file"),
        ("list.csv", "imported from list.csv"),
        ("C:\\My lists\\list.csv", "imported from list.csv"),
        ("lists/list.csv", "imported from list.csv"),
        ("x" * 600, f"imported from {'x' * 486}"),
    ],
)
def test_a_file_is_named_as_the_source(file_name: str | None, source: str) -> None:
    """A file is called by its name without its folders, cut to what a source may hold; without a name it is a file."""
    assert service.source_of(file_name) == source


async def test_only_a_new_value_is_new(two_workspaces: TwoWorkspaces) -> None:
    """An address and a domain are new when they are added first, and stand as they were the second time."""
    options: dict[str, Any] = {"reason": SuppressionReason.MANUAL, "source": "test", "at": NOW}
    for email, domain, value in (
        (" Ann@Lead.example", None, "ann@lead.example"),
        (None, "@Lead.example ", "@lead.example"),
    ):
        async with owner_session(two_workspaces) as session:
            added = [
                await service.add_suppression(session, two_workspaces.id, email=email, domain=domain, **options)
                for _ in range(2)
            ]
        assert [is_new for _, is_new in added] == [True, False]
        assert {row.value for row, _ in added} == {value}


async def test_an_export_is_a_whole_file(two_workspaces: TwoWorkspaces) -> None:
    """The file begins with its byte order mark and its columns, and has one line for each suppression."""
    async with owner_session(two_workspaces) as session:
        await service.suppress_addresses(
            session, two_workspaces.id, ["ann@lead.example", "bo@lead.example"],
            reason=SuppressionReason.MANUAL, source="test", at=NOW,
        )  # fmt: skip
        with await service.write_export(session, two_workspaces.id) as file:
            content = file.read()
    assert content.startswith(b"\xef\xbb\xbfkind,value,valueHash,reason,source,suppressedAt,scope,includeSubdomains\n")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert len(rows) == 3
    assert {row["value"] for row in rows} >= {"ann@lead.example", "bo@lead.example"}
