import pytest

from api.imports.values import parse_segment
from domain.lead import SegmentThresholds
from tests.api.importing import Imports, Tables

pytestmark = pytest.mark.anyio

FILE = (
    "Email,Employees\n"
    'a@example.com,9\nb@example.com,50\nc@example.com,51-200\nd@example.com,"1,500"\ne@example.com,10k+\n'
    "f@example.com,\ng@example.com,many\n"
)


async def segments(imports: Imports) -> dict[str, str | None]:
    """Return the segment of each lead by the first letter of its address."""
    return {email[0]: lead["segment"] for email, lead in (await imports.leads()).items()}


async def test_from_employees(imports: Imports) -> None:
    """The size of a company makes its segment: from 100 and 1,000 employees on; what tells nothing leaves it open."""
    made = await imports.uploaded(FILE)
    assert [one["target"] for one in made["mapping"]] == ["email", "segment"]
    await imports.commit(made)
    smb, large = dict.fromkeys("abc", "SMB"), dict.fromkeys("de", "Enterprise")
    assert await segments(imports) == {**smb, **large, "f": None, "g": None}
    leads = await imports.leads()
    kept = {email[0]: lead["customFields"] for email, lead in leads.items()}
    assert (kept["c"], kept["f"], kept["g"]) == ({"Employees": "51-200"}, {}, {"Employees": "many"})


@pytest.mark.parametrize("word", ["<", "less than ", "under ", "unter ", "weniger als ", "moins de "])
def test_fewer_than_a_number(word: str) -> None:
    """Fewer than 100 are at most 99, which is a small company; fewer than 101 may be 100, which is a larger one."""
    sizes = SegmentThresholds()
    assert [parse_segment(f"{word}{number}", sizes)[0] for number in (100, 101)] == ["SMB", "Mid-Market"]


@pytest.mark.parametrize(("digits", "segment"), [(39, "Enterprise"), (40, "Enterprise"), (41, None), (400, None)])
def test_numbers_without_end(digits: int, segment: str | None) -> None:
    """A number too long to count employees tells nothing, also one that is infinite as a float."""
    for cell in ("9" * digits, "9" * digits + "k"):
        assert parse_segment(cell, SegmentThresholds()) == (segment, segment is not None)


async def test_sizes_of_the_workspace(imports: Imports, tables: Tables, workspace: str) -> None:
    """A workspace says itself from how many employees on a company is of which segment, as it is at the commit."""
    made = await imports.uploaded(FILE)
    tables.run("UPDATE app.workspaces SET mid_market_from = 10, enterprise_from = 51 WHERE id = %s", workspace)
    await imports.commit(made)
    expected = {"a": "SMB", "b": "Mid-Market", "c": "Enterprise", "d": "Enterprise", "e": "Enterprise"}
    assert await segments(imports) == {**expected, "f": None, "g": None}


async def test_default_segment(imports: Imports, tables: Tables, workspace: str) -> None:
    """New leads whose file tells no segment are of the workspace's; known ones without one stay so."""
    tables.run("UPDATE app.workspaces SET default_segment = 'Mid-Market' WHERE id = %s", workspace)
    await imports.made("leads", {"email": "f@example.com"})
    await imports.imported(FILE, duplicatePolicy="overwrite")
    found = await segments(imports)
    assert (found["a"], found["d"], found["f"], found["g"]) == ("SMB", "Enterprise", None, "Mid-Market")
