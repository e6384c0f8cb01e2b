"""Erases a person: their own records at once, and traces in large tables by a job."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import or_404
from api.imports import service as imports
from api.outreach.enrollment_status import service as enrollment_status
from api.people.erasure import repository
from api.people.erasure.repository import Traces
from api.people.leads import service as leads
from api.people.suppressions import service as suppressions
from database import jobs
from database.secrets import SecretBox
from domain.enrollment import EnrollmentEvent
from domain.job_types import ERASE_TRACES
from domain.suppression import SuppressionReason, SuppressionScope

CAUSE = "the lead was erased"
IMPORTED_FILES = "imported files"
PLACES = (IMPORTED_FILES, *repository.PLACES)


@dataclass(frozen=True, slots=True)
class Person:
    """A person whose traces are erased: their leads, and their addresses while they are known."""

    lead_ids: Sequence[UUID]
    addresses: Sequence[str]


async def erase_person(
    session: AsyncSession, secrets: SecretBox, workspace_id: UUID, lead_id: UUID, *, actor: UUID, now: datetime
) -> None:
    """Erase a lead and all leads with its address; raises NotFound. Does nothing for an erased lead."""
    locked = {lead.id: lead for lead in await repository.lock_person(session, workspace_id, lead_id)}
    requested = or_404(locked.get(lead_id), "There is no such lead.")
    if requested.erased_at is not None:
        return
    address = requested.email
    same_person = [lead for lead in locked.values() if lead.email == address]
    ids = [lead.id for lead in same_person]
    mailed = await repository.list_mailed_addresses(session, workspace_id, ids)
    addresses = sorted({address, *mailed})
    await suppressions.suppress_addresses(
        session,
        workspace_id,
        addresses,
        reason=SuppressionReason.MANUAL,
        source=repository.ERASED,
        at=now,
        scope=SuppressionScope.ACCOUNT,
    )
    for known in addresses:
        await repository.delete_address(session, workspace_id, known)
    # What names an address that another lead has by now is about that lead too.
    held = await repository.list_held_addresses(session, workspace_id, addresses, except_leads=ids)
    for lead in same_person:
        await leads.erase_lead(session, lead, now)
    cause = f"{CAUSE} by user {actor}"
    await enrollment_status.apply_event_to_leads(
        session, workspace_id, EnrollmentEvent.STOPPED, ids, cause=cause, now=now
    )
    await repository.erase_messages(session, workspace_id, ids, reason=CAUSE)
    encrypted = [secrets.encrypt(known) for known in addresses if known not in held]
    payload = {"leadIds": [str(id_) for id_ in ids], "addresses": encrypted}
    await jobs.enqueue(session, ERASE_TRACES, workspace_id, [jobs.Job(now, payload)])


async def erase_in(session: AsyncSession, workspace_id: UUID, place: str, person: Person) -> int:
    """Erase the traces of a person in one of PLACES; returns how many records must be applied first.

    Rows stay, with the columns that statistics need.
    """
    if place == IMPORTED_FILES:
        addresses: Sequence[str | None] = person.addresses or [None]
        for address in addresses:
            mention = _mention_pattern([address]) if address else None
            await imports.erase_person(session, workspace_id, person.lead_ids, address=address, mention=mention)
        return 0
    mention = _mention_pattern(person.addresses) if person.addresses else None
    draft_ids, transaction_ids = await repository.find_messages(session, workspace_id, person.lead_ids)
    traces = Traces(
        lead_ids=person.lead_ids,
        draft_ids=[str(draft_id) for draft_id in draft_ids],
        transaction_ids=transaction_ids,
        addresses=person.addresses,
        mention=mention,
        message="|".join([*map(str, draft_ids), *filter(None, [mention])]) or None,
    )
    return await repository.erase_in(session, workspace_id, place, traces)


def _mention_pattern(addresses: Sequence[str]) -> str:
    """Return the pattern that finds addresses in lower-case text, but not within a longer address.

    It also finds a URL-encoded address, even after an encoded character such as `%22`.
    """
    written = "|".join(sorted({re.escape(form) for address in addresses for form in (address, quote(address))}))
    return rf"(^|[^[:alnum:]._%+-]|%[0-9a-f]{{2}})({written})($|[^[:alnum:].-]|\.($|[^[:alnum:]]))"
