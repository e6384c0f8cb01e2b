from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.people.leads import repository
from domain.clock import Clock
from tests.acting import run_act
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

REAL = Clock(1_700_000_000.0, datetime.fromtimestamp(1_700_000_000, UTC), 1.0)
"""A clock on which business time is real time."""


def add_history(workspaces: TwoWorkspaces, name: str, domain: str) -> tuple[UUID, set[str]]:
    """Insert a lead with a row of each kind that a timeline shows, all of one moment; returns it and what is shown."""
    sequence_id = workspaces.add("app.sequences", name=f"sequence of {name}")
    lead_id = workspaces.add("app.leads", email=f"{name}@{domain}", created_at=NOW)
    of_lead: dict[str, Any] = {"lead_id": lead_id}
    enrollment_id = workspaces.add("app.lead_enrollments", **of_lead, sequence_id=sequence_id, enrolled_at=NOW)
    shown = {f"lead_created:{lead_id}", f"enrolled:{enrollment_id}"}
    shown.add(f"lead_moved:{workspaces.add('app.lead_events', **of_lead, occurred_at=NOW)}")
    moved = workspaces.add("app.enrollment_events", enrollment_id=enrollment_id, occurred_at=NOW)
    shown.add(f"enrollment_moved:{moved}")
    shown.add(f"reply_received:{workspaces.add('app.replies', **of_lead, received_at=NOW)}")
    for status, sent_at in (("drafted", None), ("sent", NOW), ("failed", None)):
        draft_id = workspaces.add(
            "app.email_drafts",
            **of_lead,
            enrollment_id=enrollment_id,
            sequence_id=sequence_id,
            step_id=workspaces.add("app.sequence_steps", sequence_id=sequence_id, step_order=len(shown)),
            status=status,
            sent_at=sent_at,
            created_at=NOW,
            updated_at=NOW,
        )
        shown.add(f"draft_created:{draft_id}")
        if status != "drafted":
            shown.add(f"draft_{status}:{draft_id}")
            event_id = workspaces.add("app.email_events", draft_id=draft_id, type="opened", occurred_at=NOW)
            shown.add(f"email_opened:{event_id}")
    for kind, value in (("email", f"{name}@{domain}"), ("domain", f"@{domain}")):
        (value_hash,) = workspaces.owner.execute(
            "SELECT app.suppression_hash(%s, %s)", [workspaces.account_id, value]
        ).fetchone() or ("",)
        reason = "domain" if kind == "domain" else "manual"
        values: dict[str, Any] = {"kind": kind, "reason": reason, "value_hash": value_hash, "suppressed_at": NOW}
        shown.add(f"suppressed:{workspaces.add('app.suppressions', **values)}")
        removal_id = workspaces.add("app.suppression_removals", **values, removed_at=NOW)
        shown |= {f"suppressed:{removal_id}", f"suppression_removed:{removal_id}"}
    return lead_id, shown


async def test_a_timeline_shows_one_lead_page_by_page(two_workspaces: TwoWorkspaces) -> None:
    """A lead's timeline has each row that is about the lead once, and none about another lead of the workspace.

    What happened in one moment comes in the order of its ids; the page after an item begins with the next one.
    """
    workspaces = two_workspaces
    lead_id, shown = add_history(workspaces, "ann", "ann.example")
    add_history(workspaces, "bob", "bob.example")

    async def read(session: AsyncSession) -> list[list[str]]:
        async def page(before: tuple[datetime, str] | None, most: int) -> list[str]:
            rows = await repository.list_timeline(
                session, workspaces.id, lead_id, clock=REAL, before=before, limit=most
            )
            assert {row.at for row in rows} <= {NOW}
            return [row.id for row in rows]

        whole = await page(None, 100)
        return [whole, await page(None, 2), *[await page((NOW, item), 100) for item in whole]]

    (whole, two, *rests) = (await run_act(workspaces, read)).result
    assert whole == sorted(shown, reverse=True)
    assert two == whole[:2]
    assert rests == [whole[index + 1 :] for index in range(len(whole))]
