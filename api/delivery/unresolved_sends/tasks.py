"""Jobs that find out what became of sends nobody saw end, and that let nothing be lost."""

from datetime import timedelta
from uuid import UUID

from api.delivery.sending import service as sending
from api.delivery.sending.service import Acceptance
from api.delivery.unresolved_sends import service
from api.http.resources import Services
from api.jobs.engine import Deferred, Work
from everlytic.errors import EverlyticError
from everlytic.models import MESSAGE_HEADER


async def reconcile_send(work: Work[Services]) -> None:
    """Look a send of unknown outcome up in Everlytic's transaction list, again and again until a person is asked."""
    draft_id = UUID(work.payload["draftId"])
    first = timedelta(minutes=work.resources.settings.reconcile_after_minutes)
    async with work.transaction() as session:
        look_up = await service.to_look_up(session, work.workspace_id, draft_id, first)
    if look_up is None:
        return
    search, looks = look_up.search, look_up.looks
    if look_up.connection is None or look_up.held_by is not None:
        raise Deferred(search.next_look(looks, work.clock.now()), f"It cannot be looked up: {look_up.held_by}.")
    try:
        client = work.resources.everlytic(look_up.connection)
        found = await client.find_transaction_by_custom_header(MESSAGE_HEADER, str(draft_id))
    except EverlyticError as error:
        at = max(search.next_look(looks, work.clock.now()), work.clock.after(error.retry_after or 0))
        raise Deferred(at, f"It could not be looked up: {error}") from error
    now = work.clock.now()
    if found is not None:
        await work.resources.batches.run(sending.accept, work.workspace_id, Acceptance(draft_id, found.id, now))
        return
    async with work.transaction() as session:
        await service.looked_in_vain(session, work.workspace_id, draft_id, now)
    if not search.is_over(now):
        raise Deferred(search.next_look(looks + 1, now), "Everlytic's transaction list does not show this mail (yet).")


async def sweep_sends(work: Work[Services]) -> None:
    """Find what was lost on the way, and put it back on its way or before a person."""
    while True:
        async with work.transaction() as session:
            lost = await service.find_lost(session, work.workspace_id, work.clock.now())
        for draft_id in sorted(lost):
            # One each: whoever records many at once locks them in another order.
            async with work.transaction() as session:
                await service.lost(session, work.workspace_id, draft_id, work.clock.now())
        if not lost:
            break
    async with work.transaction() as session:
        await service.take_up(session, work.workspace_id, work.clock.now())
