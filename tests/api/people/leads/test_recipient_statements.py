"""The statements of recipients beside rows that differ from their own in one condition."""

from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import NotFound
from api.people.leads import recipients, repository
from api.people.leads import service as leads
from tests.comparing import compared
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

LEADS, ATTEMPTS = "app.leads", "app.send_attempts"
OLD, NOW_AT = "old@lead.example", "now@lead.example"


async def test_a_recipient_is_who_was_mailed(two_workspaces: TwoWorkspaces) -> None:
    """The address of the attempt comes first, then that of a released claim, then the lead's.

    After erasure only a hash is left; others' mails are none.
    """
    workspaces = two_workspaces
    workspaces.set("app.workspaces", workspaces.id, default_from_name="Ann")
    drafts = [workspaces.add_draft() for _ in range(7)]
    lead_ids: dict[UUID, UUID] = dict(workspaces.owner.execute("SELECT id, lead_id FROM app.email_drafts").fetchall())
    for number, draft_id in enumerate(drafts):
        workspaces.set(LEADS, lead_ids[draft_id], email=f"{number}{NOW_AT}")
    workspaces.add(ATTEMPTS, draft_id=drafts[0], recipient=OLD)
    workspaces.add(ATTEMPTS, draft_id=drafts[1])
    workspaces.add(ATTEMPTS, draft_id=drafts[2], recipient_hash="ab")
    workspaces.add_released_claim(drafts[1], recipient=OLD, recipient_hash="cd")
    workspaces.add_released_claim(drafts[4], recipient=OLD)
    workspaces.add_released_claim(drafts[5], recipient_hash="cd")
    foreign = workspaces.add_draft(workspaces.neighbour)

    async def find(session: AsyncSession) -> list[tuple[str | None, str | None, str]]:
        found = await repository.find_recipients(session, workspaces.id, [*drafts, foreign])
        assert [(recipient.draft_id, recipient.lead_id) for recipient in found] == [
            (draft_id, lead_ids[draft_id]) for draft_id in sorted(drafts)
        ]
        by_draft = {recipient.draft_id: recipient for recipient in found}
        return [(by_draft[id_].address, by_draft[id_].address_hash, by_draft[id_].sender) for id_ in drafts]

    assert (await compared(workspaces, find)).result == [
        (OLD, None, "Ann"),
        (f"1{NOW_AT}", None, "Ann"),
        (None, "ab", "Ann"),
        (f"3{NOW_AT}", None, "Ann"),
        (OLD, None, "Ann"),
        (None, "cd", "Ann"),
        (f"6{NOW_AT}", None, "Ann"),
    ]

    async def get(session: AsyncSession) -> str | None:
        recipient = await recipients.get_recipient(session, workspaces.id, lead_ids[drafts[0]], drafts[0])
        with pytest.raises(NotFound):
            await recipients.get_recipient(session, workspaces.id, lead_ids[drafts[1]], drafts[0])
        return recipient.address

    assert (await compared(workspaces, get)).result == OLD


async def test_holders_have_the_address_now_in_any_spelling(two_workspaces: TwoWorkspaces) -> None:
    """Live and deleted leads with the address or another tag are found; a longer one and a neighbour's are not."""
    workspaces = two_workspaces
    live = workspaces.add(LEADS, email=OLD)
    deleted = workspaces.add(LEADS, email=OLD, deleted_at=NOW)
    tagged = [workspaces.add(LEADS, email="old+a@lead.example", deleted_at=moment) for moment in (None, NOW)]
    dotted = workspaces.add(LEADS, email="e.v.e@googlemail.com")
    for other in (f"x{OLD}", "old+a@lead.example.org", "+old@lead.example", "e.v.a@gmail.com"):
        workspaces.add(LEADS, email=other)
    for foreign in (OLD, "old+b@lead.example", "eve@gmail.com"):
        workspaces.add(LEADS, workspaces.neighbour, email=foreign)

    async def find(session: AsyncSession) -> list[dict[str, set[UUID]]]:
        found = [
            await leads.list_holders(session, addresses)
            for addresses in ([], [OLD, "another@lead.example"], ["Old+Other@lead.example", "eve+x@gmail.com"])
        ]
        return [{key: set(lead_ids) for key, lead_ids in holders.items()} for holders in found]

    old = {OLD: {live, deleted, *tagged}}
    assert (await compared(workspaces, find)).result == [{}, old, {**old, "eve@gmail.com": {dotted}}]


async def test_known_addresses_are_of_leads_or_were_mailed(two_workspaces: TwoWorkspaces) -> None:
    """Addresses of leads and addresses that were mailed are known; those of a neighbour and others are not.

    Another spelling of a lead's address is known too, because the lead can be told by it.
    """
    workspaces = two_workspaces
    workspaces.add(LEADS, email="lead@x.example")
    workspaces.add(ATTEMPTS, draft_id=workspaces.add_draft(), recipient="mailed@x.example")
    workspaces.add(LEADS, workspaces.neighbour, email="foreign@x.example")
    known = {"lead@x.example", "lead+a@x.example", "mailed@x.example"}
    candidates = [*known, "mailed+a@x.example", "foreign@x.example", "x.example"]

    async def find(session: AsyncSession) -> list[set[str]]:
        return [await recipients.list_known(session, workspaces.id, addresses) for addresses in (candidates, [])]

    assert (await compared(workspaces, find)).result == [known, set()]
