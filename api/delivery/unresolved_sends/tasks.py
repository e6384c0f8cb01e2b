"""Jobs that look up sends of unknown outcome, and that find sends and drafts without a job."""

from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from api.delivery.sending import service as sending
from api.delivery.sending.service import Acceptance
from api.delivery.unresolved_sends import repository, service
from api.http.resources import Services
from api.jobs.engine import Deferred, Work
from api.jobs.work import hold_place
from everlytic.errors import EverlyticError
from everlytic.models import MESSAGE_HEADER


async def reconcile_send(work: Work[Services]) -> None:
    """Look up a send of unknown outcome in Everlytic's transaction list, repeatedly until a user has to settle it."""
    draft_id = UUID(work.payload["draftId"])
    initial_delay = timedelta(minutes=work.resources.settings.reconcile_after_minutes)
    async with work.transaction() as session:
        lookup = await service.prepare_lookup(session, work.workspace_id, draft_id, initial_delay)
    if lookup is None:
        return
    schedule, failed_lookups = lookup.schedule, lookup.failed_lookups
    if lookup.connection is None or lookup.blocked_by is not None:
        next_lookup_at = schedule.next_lookup_at(failed_lookups, work.clock.now())
        raise Deferred(next_lookup_at, f"The send cannot be looked up: {lookup.blocked_by}.")
    try:
        client, host = work.resources.everlytic(lookup.connection), urlsplit(lookup.connection.tenant_url).netloc
        async with hold_place(work, work.resources.looking_up, host):
            transaction = await client.find_transaction_by_custom_header(MESSAGE_HEADER, str(draft_id))
    except EverlyticError as error:
        next_lookup_at = schedule.next_lookup_at(failed_lookups, work.clock.now())
        retry_at = max(next_lookup_at, work.clock.after(error.retry_after or 0))
        raise Deferred(retry_at, f"The lookup of the send failed: {error}") from error
    now = work.clock.now()
    if transaction is not None:
        acceptance = Acceptance(draft_id, transaction.id, now)
        await work.resources.batches.run(sending.record_acceptances, work.workspace_id, acceptance)
        return
    async with work.transaction() as session:
        await repository.record_failed_lookup(session, work.workspace_id, draft_id, now)
    if not schedule.is_over(now):
        next_lookup_at = schedule.next_lookup_at(failed_lookups + 1, now)
        raise Deferred(next_lookup_at, "Everlytic's transaction list does not contain this mail yet.")


async def sweep_sends(work: Work[Services]) -> None:
    """Look up sends whose worker stopped, and enqueue sends and drafts that have no job."""
    while True:
        async with work.transaction() as session:
            lost_ids = await service.list_lost_claims(session, work.workspace_id, work.clock.now())
        for draft_id in sorted(lost_ids):
            # One draft per transaction: recording many at once would lock them in another order and could deadlock.
            async with work.transaction() as session:
                await sending.record_lost_claim(session, work.workspace_id, draft_id, work.clock.now())
        if not lost_ids:
            break
    async with work.transaction() as session:
        await service.requeue_sends(session, work.workspace_id, work.clock.now())
