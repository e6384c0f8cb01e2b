"""Jobs that send mails: claim and commit, call the provider, record the result and commit."""

import time
from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit
from uuid import UUID

from api.accounts.workspaces import service as workspaces
from api.accounts.workspaces.service import CallEnded
from api.delivery.sending import eligibility, service
from api.delivery.sending.content import SenderIdentity, compose_mail
from api.delivery.sending.eligibility import Blocked, ClaimLost, Denied
from api.delivery.sending.repository import ClaimRun
from api.delivery.sending.service import Acceptance, Claim, Confirmation, SendRequest
from api.http.resources import Services
from api.jobs.engine import Deferred, Work
from api.jobs.work import hold_place
from api.outreach.sequences import service as sequences
from api.people.leads import service as leads
from api.people.leads.tracking import decide_tracking
from database.secrets import UndecipherableSecret
from domain.breaker import ResultKind
from domain.suppression import SuppressionReason, to_ascii_address
from everlytic.errors import (
    EverlyticError,
    InvalidRequest,
    NotSent,
    QuotaExceeded,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from everlytic.models import Address, Mail, SendResult

CONFIRMATION_SECONDS = 0.03
"""How long after the claim, or the last confirmation, a call may start without another confirmation."""
MAX_CONFIRMATIONS = 20
BUSY_RETRY_SECONDS = 0.25


async def send_email(work: Work[Services]) -> None:
    """Send one reviewed draft, at most once ever."""
    draft_id = UUID(work.payload["draftId"])
    places = work.resources.calling
    async with hold_place(work, places):
        # Claim only when the call can follow at once: a claim whose worker stops before the call has to be looked up.
        request = SendRequest(draft_id, work.clock.now(), work.job_id, work.resources.settings.public_url)
        answer = await work.resources.batches.run(service.claim_drafts, work.workspace_id, request)
        call = _ProviderCall(work, answer) if isinstance(answer, Claim) else None
        if call is not None:
            places.note_host(work.workspace_id, urlsplit(call.connection.transactional_url).netloc)
            await call.send()
    if call is not None:
        await _record_result(work, call, draft_id)
    elif isinstance(answer, eligibility.Deferred):
        raise Deferred(answer.at, answer.reason)
    elif isinstance(answer, Denied):
        await _handle_denial(work, answer, request)


async def _record_result(work: Work[Services], call: "_ProviderCall", draft_id: UUID) -> None:
    """Record the result of a call and act on it."""
    batches = work.resources.batches
    try:
        result = call.get_result()
    except _SendStopped as stopped:
        await call.release_claim()
        await call.report_recovery(ResultKind.NOT_MADE)
        raise Deferred(stopped.until or work.clock.now(), str(stopped)) from stopped
    except (Unauthorized, UndecipherableSecret) as error:
        await call.release_claim()
        await batches.run(workspaces.record_refused_credentials, work.workspace_id, (call.connection, str(error)))
        raise Deferred(work.clock.now(), str(error)) from error
    except _InvalidMail as error:
        await call.record_rejection(error, ResultKind.NOT_MADE)
    except InvalidRequest as error:
        await call.record_rejection(error, ResultKind.SERVED)
    except NotSent as error:
        await call.release_claim()
        raise Deferred(call.retry_at, str(error)) from error
    except EverlyticError as error:
        look_up_at = work.clock.now() + timedelta(minutes=work.resources.settings.reconcile_after_minutes)
        async with work.transaction() as session:
            await service.record_unknown_outcome(session, work.workspace_id, draft_id, str(error), look_up_at)
    else:
        acceptance = Acceptance(draft_id, result.transaction_id, work.clock.now())
        await batches.run(service.record_acceptances, work.workspace_id, acceptance)
        await call.report_recovery(ResultKind.SERVED)


class _SendStopped(Exception):
    """The mail must not be sent, or not now; the provider was not called."""

    def __init__(self, reason: str, until: datetime | None = None) -> None:
        super().__init__(reason)
        self.until = until


class _InvalidMail(Exception):
    """No mail can be made from the draft; the provider was not called."""


class _ProviderCall:
    """The one call to the provider that a claim permits, and what its result says about the provider."""

    def __init__(self, work: Work[Services], claim: Claim) -> None:
        self._work, self._claim = work, claim
        self._draft_id = claim.candidate.draft.id
        self._as_of = claim.as_of
        self.connection = claim.connection
        self.retry_at = work.clock.now()
        """When to retry a mail that the provider did not accept."""
        self._result: SendResult | None = None
        self._error: Exception | None = None
        self._called_at: float | None = None
        self._seconds = 0.0
        """How long the provider took to answer."""

    async def send(self) -> None:
        """Call the provider and keep the result or the error; a failure of the provider is reported at once."""
        try:
            self._result = await self._send()
        except (_SendStopped, _InvalidMail, UndecipherableSecret, Unauthorized, InvalidRequest) as error:
            self._error = error
        except EverlyticError as error:
            self._error = error
            # Report before the next draft is claimed, so that its claim is deferred.
            self.retry_at = await self._report(_classify_error(error), str(error), error.retry_after)
        if self._called_at is not None:
            self._seconds = time.monotonic() - self._called_at

    async def _send(self) -> SendResult:
        try:
            mail = _compose_mail(self._work, self._claim)
        except ValueError as error:
            raise _InvalidMail(f"The draft cannot be sent as a mail: {error}") from error
        return await self._work.resources.everlytic(self._claim.connection).send(mail, before_call=self._confirm)

    def get_result(self) -> SendResult:
        """Return the provider's acceptance; raises EverlyticError, UndecipherableSecret, _SendStopped, _InvalidMail."""
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    async def _confirm(self) -> None:
        """Check again that the mail may be sent, unless the last check is recent; raises _SendStopped."""
        resources, attempts = self._work.resources, 0
        while time.monotonic() - self._as_of > CONFIRMATION_SECONDS:
            if attempts == MAX_CONFIRMATIONS:
                until = self._work.clock.after(BUSY_RETRY_SECONDS)
                raise _SendStopped("the worker is too busy to check whether the mail may still be sent", until)
            async with resources.confirming:
                self._apply_confirmation(await self._request_confirmation())
            attempts += 1
        self._called_at = time.monotonic()

    async def _request_confirmation(self) -> Confirmation:
        batches, work = self._work.resources.batches, self._work
        try:
            run = ClaimRun(self._draft_id, work.job_id, work.attempt)
            return await batches.run(service.confirm_claims, work.workspace_id, run, at_once=True)
        except Exception as error:
            raise _SendStopped(f"the check whether the mail may still be sent failed: {error}") from error

    def _apply_confirmation(self, confirmation: Confirmation) -> None:
        if confirmation.stop_reason is not None:
            raise _SendStopped(confirmation.stop_reason)
        until, claimed_until = confirmation.blocked_until, self._claim.connection.blocked_until
        # The block that the claim itself has set does not stop this mail, which is the probe.
        if until is not None and until != claimed_until and until > self._work.clock.now():
            raise _SendStopped("Everlytic did not accept the last mails", until)
        self._as_of = confirmation.as_of

    async def release_claim(self) -> None:
        """Release the claim of this job, because the call had no effect; a claim that another job made stays."""
        work = self._work
        async with work.transaction() as session:
            await service.release_claim(session, work.workspace_id, self._draft_id, work.clock.now(), work.job_id)

    async def record_rejection(self, error: Exception, kind: ResultKind) -> None:
        """Record that this mail can never be sent as it is, and pause its sequence if all others are refused too."""
        async with self._work.transaction() as session:
            await service.record_rejection(session, self._work.workspace_id, self._draft_id, str(error))
        # Another transaction, because sequences are locked before drafts (database/locks.py).
        async with self._work.transaction() as session:
            sequence_id = self._claim.candidate.sequence.id
            await sequences.pause_refused_sequence(session, self._work.workspace_id, sequence_id)
        await self.report_recovery(kind)

    async def report_recovery(self, kind: ResultKind) -> None:
        """Report how the call ended, if the provider was slow, or if the result may end failures or a block."""
        if kind is ResultKind.SERVED and self._seconds > self._work.resources.settings.provider_slow_seconds:
            await self._report(ResultKind.SLOW, f"Everlytic took {self._seconds:.1f} seconds to answer.")
            return
        if self._claim.connection.failures or self._claim.connection.blocked_until:
            await self._report(kind)

    async def _report(self, kind: ResultKind, reason: str | None = None, retry_after: float | None = None) -> datetime:
        end = CallEnded(self._claim.connection, kind, self._work.clock.now(), reason, retry_after)
        return await self._work.resources.batches.run(workspaces.record_call_results, self._work.workspace_id, end)


def _classify_error(error: EverlyticError) -> ResultKind:
    """Return what an error says about the provider; a refusal of one mail's content is no failure of the provider."""
    if isinstance(error, QuotaExceeded):
        return ResultKind.QUOTA_EXCEEDED
    if isinstance(error, RateLimited | Unavailable):
        return ResultKind.RATE_LIMITED
    is_refusal = error.status is not None and HTTPStatus.BAD_REQUEST <= error.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return ResultKind.SERVED if is_refusal and error.code is not None else ResultKind.FAILED


async def _handle_denial(work: Work[Services], denial: Denied, request: SendRequest) -> None:
    """Act on a denial that changes the draft: blocked, or claimed by a run that stopped."""
    if isinstance(denial, Blocked):
        await work.resources.batches.run(service.block_drafts, work.workspace_id, request)
    elif isinstance(denial, ClaimLost):
        async with work.transaction() as session:
            await service.record_lost_claim(session, work.workspace_id, request.draft_id, request.now)


def _compose_mail(work: Work[Services], claim: Claim) -> Mail:
    candidate = claim.candidate
    lead, workspace, draft = candidate.lead, claim.workspace, candidate.draft
    return compose_mail(
        draft_id=draft.id,
        sequence_id=draft.sequence_id,
        workspace_id=workspace.id,
        recipient=Address(
            email=to_ascii_address(lead.email), name=" ".join(f"{lead.first_name} {lead.last_name}".split()) or None
        ),
        identity=SenderIdentity(
            workspace.default_from_name,
            workspace.default_from_email,
            workspace.postal_address,
            workspace.reply_to_email,
        ),
        subject=draft.subject,
        text=draft.body,
        body_html=draft.body_html,
        unsubscribe_url=work.resources.unsubscribe_url(workspace.id, lead.id, draft.id),
        # Of the rows that the claim has read, so it is what the claim says.
        tracking=decide_tracking(workspace, lead),
    )


async def resume_sends(work: Work[Services]) -> None:
    """Enqueue what a pause of a sequence or of enrollments has stopped."""
    payload = work.payload
    enrollment_ids = payload.get("enrollmentIds") or ([payload["enrollmentId"]] if "enrollmentId" in payload else None)
    async with work.transaction() as session:
        await service.requeue_waiting_work(
            session,
            work.workspace_id,
            sequence_id=UUID(payload["sequenceId"]) if "sequenceId" in payload else None,
            enrollment_ids=[UUID(enrollment_id) for enrollment_id in enrollment_ids] if enrollment_ids else None,
            now=work.clock.now(),
        )


async def stop_leads(work: Work[Services]) -> None:
    """Stop leads whose person said no in another workspace of the account. Running it again changes nothing."""
    lead_ids = [UUID(lead_id) for lead_id in work.payload["leadIds"]]
    reason, cause = SuppressionReason(work.payload["reason"]), f"{work.payload['cause']}, in another workspace"
    async with work.transaction() as session:
        await leads.stop_suppressed_leads(
            session, work.workspace_id, lead_ids, reason=reason, cause=cause, now=work.clock.now()
        )
