"""Jobs that mail: claim and commit, call, record and commit."""

from datetime import timedelta
from uuid import UUID

from api.jobs.engine import Deferred, RetryLater, Work
from api.resources import Services
from api.sending import service
from api.sending.content import Identity, compose
from api.sending.judge import Forbidden, Lost, Never, NotNow
from api.sending.service import Acceptance, Claimed, Request
from api.suppressions.tokens import unsubscribe_token
from everlytic.errors import EverlyticError, InvalidRequest, NotSent
from everlytic.models import MESSAGE_HEADER, Address, Mail


async def send_email(work: Work[Services]) -> None:
    """Send one reviewed draft, at most once ever."""
    draft_id = UUID(work.payload["draftId"])
    batches = work.resources.batches
    request = Request(draft_id, work.clock.now(), is_again=work.attempt > 1)
    claimed = await batches.run(service.claim, work.workspace_id, request)
    if isinstance(claimed, NotNow):
        raise Deferred(claimed.at, claimed.reason)
    if not isinstance(claimed, Claimed):
        await _follow_up(work, claimed, request)
        return
    mail, client = _compose(work, claimed), work.resources.everlytic(claimed.connection)
    try:
        result = await client.send(mail)
    except InvalidRequest as error:
        async with work.transaction() as session:
            await service.rejected(session, work.workspace_id, draft_id, str(error))
    except NotSent as error:
        async with work.transaction() as session:
            await service.not_called(session, work.workspace_id, draft_id, work.clock.now())
        raise RetryLater(str(error), error.retry_after) from error
    except EverlyticError as error:
        look_up_at = work.clock.now() + timedelta(minutes=work.resources.settings.reconcile_after_minutes)
        async with work.transaction() as session:
            await service.unknown(session, work.workspace_id, draft_id, str(error), look_up_at)
    else:
        acceptance = Acceptance(draft_id, result.transaction_id, work.clock.now())
        await batches.run(service.accept, work.workspace_id, acceptance)


async def _follow_up(work: Work[Services], answer: Never, request: Request) -> None:
    """Do what a no leads to."""
    if isinstance(answer, Forbidden):
        await work.resources.batches.run(service.forbid, work.workspace_id, request)
    elif isinstance(answer, Lost):
        error = "the worker was lost between claim and record"
        async with work.transaction() as session:
            await service.unknown(session, work.workspace_id, request.draft_id, error, request.now)


def _compose(work: Work[Services], claimed: Claimed) -> Mail:
    settings, candidate = work.resources.settings, claimed.candidate
    lead, workspace, draft = candidate.lead, claimed.workspace, candidate.draft
    token = unsubscribe_token(settings.secret_key.get_secret_value(), workspace.id, lead.id, draft.id)
    return compose(
        draft_id=draft.id,
        sequence_id=draft.sequence_id,
        recipient=Address(email=lead.email, name=f"{lead.first_name} {lead.last_name}".strip() or None),
        identity=Identity(workspace.default_from_name, workspace.default_from_email, workspace.postal_address),
        subject=draft.subject,
        text=draft.body,
        body_html=draft.body_html,
        unsubscribe_url=f"{settings.public_url.rstrip('/')}/u/{token}",
    )


async def reconcile_send(work: Work[Services]) -> None:
    """Look a send of unknown outcome up in Everlytic's transaction list; what is not there is looked for again."""
    draft_id = UUID(work.payload["draftId"])
    async with work.transaction() as session:
        connection = await service.to_reconcile(session, work.workspace_id, draft_id)
    if connection is None:
        return
    try:
        client = work.resources.everlytic(connection)
        found = await client.find_transaction_by_custom_header(MESSAGE_HEADER, str(draft_id))
    except EverlyticError as error:
        raise RetryLater(str(error), error.retry_after) from error
    if found is None:
        raise RetryLater("Everlytic's transaction list does not show this mail (yet).")
    acceptance = Acceptance(draft_id, found.id, work.clock.now())
    await work.resources.batches.run(service.accept, work.workspace_id, acceptance)


async def resume_sends(work: Work[Services]) -> None:
    """Put what a pause of a sequence or an enrollment left waiting back on the queue."""
    payload = work.payload
    enrollment_ids = payload.get("enrollmentIds") or ([payload["enrollmentId"]] if "enrollmentId" in payload else None)
    async with work.transaction() as session:
        await service.resume(
            session,
            work.workspace_id,
            sequence_id=UUID(payload["sequenceId"]) if "sequenceId" in payload else None,
            enrollment_ids=[UUID(one) for one in enrollment_ids] if enrollment_ids else None,
            now=work.clock.now(),
        )
