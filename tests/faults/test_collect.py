"""The faults that are collected from a made-up repository."""

import json
from pathlib import Path

import pytest

from faults.collect import find_source_faults, get_area, read_faults

RULES = "def is_due(at, now):\n    return at <= now\n"
QUERIES = """_LEADS = text("SELECT id FROM leads WHERE workspace_id = :workspace_id AND id = :id ORDER BY at, id")

def find():
    return select(Lead).where(Lead.workspace_id == workspace_id, Lead.id == 1, Lead.list_id == List.workspace_id)
"""
MODEL = "select a from t where b = 1 and c = 2"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Write a repository of three files and one migration."""
    for path, text in {
        "domain/rules.py": RULES,
        "api/people/leads/repository.py": QUERIES,
        "database/migrations/first.py": QUERIES,
        "dbt_project/models/marts/sums.sql": MODEL,
    }.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_ids_stay_when_lines_move(root: Path) -> None:
    """Lines that are added above change the lines of faults, and none of their ids; no two faults share an id."""
    before = list(find_source_faults(root, []))
    for path in ("domain/rules.py", "api/people/leads/repository.py"):
        (root / path).write_text(f"import this\n\n\n{(root / path).read_text()}")
    after = list(find_source_faults(root, []))
    assert [fault.id for fault in after] == [fault.id for fault in before]
    assert len({fault.id for fault in after}) == len(after)
    assert [fault.line for fault in after] == [
        fault.line + (0 if fault.path.endswith(".sql") else 3) for fault in before
    ]


def test_faults_are_collected_by_area(root: Path) -> None:
    """An area is a folder, one level deeper inside api; prefixes choose areas, and migrations have no faults."""
    assert {fault.area for fault in find_source_faults(root, [])} == {
        "domain",
        "api/people/leads",
        "dbt_project/models",
    }
    assert {fault.area for fault in find_source_faults(root, ["api", "dbt_project"])} == {
        "api/people/leads",
        "dbt_project/models",
    }
    assert get_area(Path("api/app.py")) == "api"
    assert get_area(Path("domain/rules.py")) == "domain"
    assert {fault.place for fault in find_source_faults(root, ["api"])} == {"_LEADS", "find"}


def test_terms_of_the_tenant_have_a_kind_of_their_own(root: Path) -> None:
    """A term that compares the workspace with the caller's is a tenant term; one that compares two rows is not."""
    kinds = {fault.before: fault.kind for fault in find_source_faults(root, ["api"])}
    assert kinds == {
        "workspace_id = :workspace_id": "tenant term dropped",
        "id = :id": "WHERE term dropped",
        ", id": "tie-break dropped",
        "Lead.workspace_id == workspace_id": "tenant term dropped",
        "Lead.id == 1": "WHERE term dropped",
        "Lead.list_id == List.workspace_id": "WHERE term dropped",
    }


def test_a_person_writes_faults(root: Path) -> None:
    """A given text is replaced where it stands once; a text that stands twice or nowhere is refused with its count."""
    given = root / "given.json"
    given.write_text(json.dumps([{"path": "domain/rules.py", "before": "at <= now", "after": "at == now"}]))
    (fault,) = read_faults(root, given)
    assert fault.source == RULES.replace("at <= now", "at == now")
    assert (fault.area, fault.line, fault.place, fault.before) == ("domain", 2, "is_due", "at <= now")
    for before, count in (("n", 3), ("nowhere", 0)):
        given.write_text(json.dumps([{"path": "domain/rules.py", "before": before, "after": ""}]))
        with pytest.raises(ValueError, match=f"domain/rules.py holds this text {count} times: {before}"):
            list(read_faults(root, given))


def test_statements_in_files_have_faults(root: Path) -> None:
    """A statement in `sql/` is in the area of its folder, its place is its name, and its tenant terms are known."""
    file = root / "api/people/leads/sql/find_lead.sql"
    file.parent.mkdir()
    file.write_text("-- Finds a lead.\nSELECT id FROM leads WHERE workspace_id = :workspace_id AND id = :id\n")
    faults = [fault for fault in find_source_faults(root, ["api"]) if fault.path.endswith(".sql")]
    assert {(fault.area, fault.place, fault.line, fault.kind) for fault in faults} == {
        ("api/people/leads", "find_lead", 2, "tenant term dropped"),
        ("api/people/leads", "find_lead", 2, "WHERE term dropped"),
    }
