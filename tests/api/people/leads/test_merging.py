from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.people.leads.merging import FIELDS, RowStatus, merge_rows
from database.models import DuplicatePolicy

SKIP, FILL, OVERWRITE = DuplicatePolicy


def row(email: str = "a@x.com", custom: dict[str, Any] | None = None, **given_: Any) -> dict[str, Any]:
    """Return a row with these values and blanks."""
    blank = {**dict.fromkeys(FIELDS, ""), "segment": None, "timezone": None, "list_id": None}
    return {"email": email, **blank, "custom_fields": custom or {}, **given_}


@pytest.mark.parametrize(
    ("policy", "status", "company", "role"),
    [
        (SKIP, RowStatus.EXISTS, None, None),
        (FILL, RowStatus.UPDATED, "Acme", "CTO"),
        (OVERWRITE, RowStatus.UPDATED, "Other", "CTO"),
    ],
)
def test_policies(policy: DuplicatePolicy, status: RowStatus, company: str | None, role: str | None) -> None:
    """A known address is left alone, filled or overwritten, and never loses anything to a blank."""
    held = row(company="Acme", first_name="Ann")
    folded = merge_rows([(0, row(company="Other", role="CTO"))], {"a@x.com": held}, policy)
    assert (folded.statuses, folded.new) == ({0: status}, {})
    after = folded.changed.get("a@x.com", {})
    assert (after.get("company"), after.get("role")) == (company, role)
    assert after.get("first_name", "Ann") == "Ann"


def test_the_same_address_twice() -> None:
    """A later row of a call meets what an earlier one has made, by the same policy."""
    rows = [(0, row(company="Acme")), (1, row(company="Other", role="CTO")), (2, row(role="CTO"))]
    skipped, filled = merge_rows(rows, {}, SKIP), merge_rows(rows, {}, FILL)
    assert list(skipped.statuses.values()) == [RowStatus.CREATED, RowStatus.EXISTS, RowStatus.EXISTS]
    assert skipped.new["a@x.com"] == rows[0][1]
    assert list(filled.statuses.values()) == [RowStatus.CREATED, RowStatus.UPDATED, RowStatus.UNCHANGED]
    assert (filled.new["a@x.com"]["company"], filled.new["a@x.com"]["role"]) == ("Acme", "CTO")
    assert filled.changed == {}


def test_custom_fields() -> None:
    """Custom fields are merged one by one, `true` is not 1, and there are never more than a lead may have."""
    held = {"a@x.com": row(custom={"a": 1})}
    assert merge_rows([(0, row(custom={"a": True}))], held, OVERWRITE).changed["a@x.com"]["custom_fields"] == {
        "a": True
    }
    assert merge_rows([(0, row(custom={"a": 1}))], held, OVERWRITE).statuses == {0: RowStatus.UNCHANGED}
    many = {f"b{number}": number for number in range(200)}
    folded = merge_rows([(0, row(custom=many))], held, FILL)
    assert (folded.statuses, folded.changed) == ({0: RowStatus.INVALID}, {})


rows_of = st.lists(
    st.builds(
        lambda email, company, custom: row(f"{email}@x.com", custom, company=company),
        st.sampled_from("abc"),
        st.sampled_from(["", "Acme", "Other"]),
        st.dictionaries(st.sampled_from("xy"), st.integers(0, 2)),
    ),
    max_size=8,
)


@given(rows_of, st.sampled_from(DuplicatePolicy))
def test_one_call_or_many(given_: list[dict[str, Any]], policy: DuplicatePolicy) -> None:
    """Rows given together come to what they come to one after the other."""
    together = merge_rows(enumerate(given_), {}, policy)
    held: dict[str, Any] = {}
    statuses: dict[int, RowStatus] = {}
    for index, one in enumerate(given_):
        alone = merge_rows([(index, one)], held, policy)
        held |= alone.new | alone.changed
        statuses |= alone.statuses
    assert (together.statuses, dict(together.new)) == (statuses, held)
