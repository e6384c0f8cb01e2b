"""The statements of recipients beside rows that differ from their own in one condition."""

from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.recipients import repository, service
from api.http.errors import NotFound
from tests.comparing import compared
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

LEADS, ATTEMPTS = "app.leads", "app.send_attempts"
OLD, NOW_AT = "old@lead.example", "now@lead.example"


async def test_a_recipient_is_who_was_mailed(two_workspaces: TwoWorkspaces) -> None:
    """The attempt's address comes first, then the lead's; after erasure only a hash is left; others' mails are none."""
    workspaces = two_workspaces
    workspaces.set("app.workspaces", workspaces.id, default_from_name="Ann")
    drafts = [workspaces.add_draft() for _ in range(4)]
    lead_ids: dict[UUID, UUID] = dict(workspaces.owner.execute("SELECT id, lead_id FROM app.email_drafts").fetchall())
    for number, draft_id in enumerate(drafts):
        workspaces.set(LEADS, lead_ids[draft_id], email=f"{number}{NOW_AT}")
    workspaces.add(ATTEMPTS, draft_id=drafts[0], recipient=OLD)
    workspaces.add(ATTEMPTS, draft_id=drafts[1])
    workspaces.add(ATTEMPTS, draft_id=drafts[2], recipient_hash="ab")
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
    ]

    async def get(session: AsyncSession) -> str | None:
        recipient = await service.get_recipient(session, workspaces.id, lead_ids[drafts[0]], drafts[0])
        with pytest.raises(NotFound):
            await service.get_recipient(session, workspaces.id, lead_ids[drafts[1]], drafts[0])
        return recipient.address

    assert (await compared(workspaces, get)).result == OLD


async def test_holders_have_the_address_now(two_workspaces: TwoWorkspaces) -> None:
    """A live and a deleted lead with exactly the address are found; a longer one and a neighbour's are not."""
    workspaces = two_workspaces
    live = workspaces.add(LEADS, email=OLD)
    deleted = workspaces.add(LEADS, email=OLD, deleted_at=NOW)
    workspaces.add(LEADS, email=f"x{OLD}")
    workspaces.add(LEADS, workspaces.neighbour, email=OLD)

    async def find(session: AsyncSession) -> set[UUID]:
        assert await repository.list_holders(session, workspaces.id, []) == set()
        return await repository.list_holders(session, workspaces.id, [OLD, "another@lead.example"])

    assert (await compared(workspaces, find)).result == {live, deleted}


async def test_known_addresses_are_of_leads_or_were_mailed(two_workspaces: TwoWorkspaces) -> None:
    """Addresses of leads and addresses that were mailed are known; those of a neighbour and others are not."""
    workspaces = two_workspaces
    workspaces.add(LEADS, email="lead@x.example")
    workspaces.add(ATTEMPTS, draft_id=workspaces.add_draft(), recipient="mailed@x.example")
    workspaces.add(LEADS, workspaces.neighbour, email="foreign@x.example")
    candidates = ["lead@x.example", "mailed@x.example", "foreign@x.example", "x.example"]

    async def find(session: AsyncSession) -> list[set[str]]:
        return [await service.list_known(session, workspaces.id, addresses) for addresses in (candidates, [])]

    assert (await compared(workspaces, find)).result == [{"lead@x.example", "mailed@x.example"}, set()]
