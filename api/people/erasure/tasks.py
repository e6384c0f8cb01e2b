"""The job that erases the traces of a person."""

from datetime import timedelta
from uuid import UUID

from api.http.resources import Services
from api.jobs.engine import Deferred, Work
from api.people.erasure import repository, service
from api.people.erasure.service import Person

RETRY_AFTER = timedelta(minutes=1)


async def erase_traces(work: Work[Services]) -> None:
    """Erase a person's traces, place by place, and again when pending events are applied. Running it again is safe."""
    # A job that was stored by an earlier version has one address.
    encrypted = work.payload.get("addresses") or filter(None, [work.payload.get("address")])
    addresses = [work.resources.secrets.decrypt(address) for address in encrypted]
    person = Person([UUID(lead_id) for lead_id in work.payload["leadIds"]], addresses)
    waiting = 0
    for place in service.PLACES:
        async with work.transaction() as session:
            waiting += await service.erase_in(session, work.workspace_id, place, person)
    if waiting:
        raise Deferred(
            work.clock.now() + RETRY_AFTER, "The provider's events about this person are still being applied."
        )
    async with work.transaction() as session:
        await repository.delete_job_payload(session, work.job_id)
