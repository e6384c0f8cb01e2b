"""Jobs that mail: claim and commit, call, record and commit."""

import time
from datetime import datetime, timedelta
from http import HTTPStatus
from uuid import UUID

from api.accounts.workspaces import service as workspaces
from api.accounts.workspaces.service import CallEnded
from api.delivery.sending import service
from api.delivery.sending.content import Identity, compose
from api.delivery.sending.judge import Forbidden, Lost, Never, NotNow
from api.delivery.sending.service import Acceptance, Claimed, Confirmation, Request
from api.http.resources import Services
from api.jobs.engine import Deferred, Work
from api.people.suppressions.tokens import unsubscribe_url
from database.secrets import UndecipherableSecret
from domain.breaker import Kind
from everlytic.errors import (
    EverlyticError,
    InvalidRequest,
    NotSent,
    QuotaUsedUp,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from everlytic.models import Address, Mail, SendResult

CONFIRMED_FOR_SECONDS = 0.03
"""For how long after the claim, or the last answer, the call is made without asking again whether it may be."""
CONFIRMED_AT_MOST = 20
TOO_BUSY_SECONDS = 0.25


async def send_email(work: Work[Services]) -> None:
    """Send one reviewed draft, at most once ever."""
    draft_id = UUID(work.payload["draftId"])
    async with work.resources.calling:
        # Claimed only when it can be called at once: what a lost worker has claimed is in doubt.
        request = Request(draft_id, work.clock.now(), work.job_id)
        claimed = await work.resources.batches.run(service.claim, work.workspace_id, request)
        call = _Call(work, claimed) if isinstance(claimed, Claimed) else None
        if call is not None:
            await call.make()
    if call is not None:
        await _record(work, call, draft_id)
    elif isinstance(claimed, NotNow):
        raise Deferred(claimed.at, claimed.reason)
    elif isinstance(claimed, Never):
        await _follow_up(work, claimed, request)


async def _record(work: Work[Services], call: "_Call", draft_id: UUID) -> None:
    """Record how a call ended, and do what that leads to."""
    batches = work.resources.batches
    try:
        result = call.result()
    except _Stopped as stopped:
        await call.withdraw()
        await call.ended(Kind.NOT_MADE)
        raise Deferred(stopped.until or work.clock.now(), str(stopped)) from stopped
    except (Unauthorized, UndecipherableSecret) as error:
        await call.withdraw()
        await batches.run(workspaces.credentials_refused, work.workspace_id, (call.connection, str(error)))
        raise Deferred(work.clock.now(), str(error)) from error
    except _Unwritable as error:
        await call.refused(error, Kind.NOT_MADE)
    except InvalidRequest as error:
        await call.refused(error, Kind.SERVED)
    except NotSent as error:
        await call.withdraw()
        raise Deferred(call.again_at, str(error)) from error
    except EverlyticError as error:
        look_up_at = work.clock.now() + timedelta(minutes=work.resources.settings.reconcile_after_minutes)
        async with work.transaction() as session:
            await service.unknown(session, work.workspace_id, draft_id, str(error), look_up_at)
    else:
        acceptance = Acceptance(draft_id, result.transaction_id, work.clock.now())
        await batches.run(service.accept, work.workspace_id, acceptance)
        await call.ended(Kind.SERVED)


class _Stopped(Exception):
    """The mail must not go out, or not now; nothing was called."""

    def __init__(self, reason: str, until: datetime | None = None) -> None:
        super().__init__(reason)
        self.until = until


class _Unwritable(Exception):
    """The draft cannot be made a mail; nothing was called."""


class _Call:
    """The one call to the provider that a claim permits, and what its end says about the provider."""

    def __init__(self, work: Work[Services], claimed: Claimed) -> None:
        self._work, self._claimed = work, claimed
        self._draft_id = claimed.candidate.draft.id
        self._as_of = claimed.as_of
        self.connection = claimed.connection
        self.again_at = work.clock.now()
        """When a mail that the provider did not serve may be tried again."""
        self._result: SendResult | None = None
        self._error: Exception | None = None

    async def make(self) -> None:
        """Hand the mail to the provider; what follows from its answer comes later, but for the news that it fails."""
        try:
            self._result = await self._send()
        except (_Stopped, _Unwritable, UndecipherableSecret, Unauthorized, InvalidRequest) as error:
            self._error = error
        except EverlyticError as error:
            self._error = error
            # Before the next may claim, who is then told to wait.
            self.again_at = await self._conclude(_kind_of(error), str(error), error.retry_after)

    async def _send(self) -> SendResult:
        try:
            mail = _compose(self._work, self._claimed)
        except ValueError as error:
            raise _Unwritable(f"The draft cannot be sent as a mail: {error}") from error
        return await self._work.resources.everlytic(self._claimed.connection).send(mail, before_call=self._confirm)

    def result(self) -> SendResult:
        """Return the provider's acceptance; raises EverlyticError, UndecipherableSecret, _Stopped and _Unwritable."""
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    async def _confirm(self) -> None:
        """Ask once more whether the mail may go out, unless that was answered a moment ago."""
        resources, asked = self._work.resources, 0
        while time.monotonic() - self._as_of > CONFIRMED_FOR_SECONDS:
            if asked == CONFIRMED_AT_MOST:
                until = self._work.clock.after(TOO_BUSY_SECONDS)
                raise _Stopped("the worker is too busy to say whether the mail may still go out", until)
            async with resources.confirming:
                self._hear(await self._ask())
            asked += 1

    async def _ask(self) -> Confirmation:
        batches, work = self._work.resources.batches, self._work
        try:
            return await batches.run(service.confirm, work.workspace_id, self._draft_id, at_once=True)
        except Exception as error:
            raise _Stopped(f"it cannot be asked whether the mail may still go out: {error}") from error

    def _hear(self, told: Confirmation) -> None:
        if told.stopped_by is not None:
            raise _Stopped(told.stopped_by)
        until, seen = told.blocked_until, self._claimed.connection.blocked_until
        if until is not None and until != seen and until > self._work.clock.now():
            raise _Stopped("Everlytic did not serve the last mails", until)
        self._as_of = told.as_of

    async def withdraw(self) -> None:
        """Take the claim back: the call had no effect."""
        async with self._work.transaction() as session:
            await service.not_called(session, self._work.workspace_id, self._draft_id, self._work.clock.now())

    async def refused(self, error: Exception, kind: Kind) -> None:
        """Record that this mail can never be sent as it is."""
        async with self._work.transaction() as session:
            await service.rejected(session, self._work.workspace_id, self._draft_id, str(error))
        await self.ended(kind)

    async def ended(self, kind: Kind) -> None:
        """Say how the call ended, where something is waiting to hear it."""
        if self._claimed.connection.failures or self._claimed.connection.blocked_until:
            await self._conclude(kind)

    async def _conclude(self, kind: Kind, reason: str | None = None, retry_after: float | None = None) -> datetime:
        end = CallEnded(self._claimed.connection, kind, self._work.clock.now(), reason, retry_after)
        return await self._work.resources.batches.run(workspaces.calls_ended, self._work.workspace_id, end)


def _kind_of(error: EverlyticError) -> Kind:
    """Return what an error says about the provider; one about a mail's content, in its own words, is no trouble."""
    if isinstance(error, QuotaUsedUp):
        return Kind.USED_UP
    if isinstance(error, RateLimited | Unavailable):
        return Kind.LIMITED
    is_refusal = error.status is not None and HTTPStatus.BAD_REQUEST <= error.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return Kind.SERVED if is_refusal and error.code is not None else Kind.FAILED


async def _follow_up(work: Work[Services], answer: Never, request: Request) -> None:
    """Do what a no leads to."""
    if isinstance(answer, Forbidden):
        await work.resources.batches.run(service.forbid, work.workspace_id, request)
    elif isinstance(answer, Lost):
        error = "the worker was lost between claim and record"
        async with work.transaction() as session:
            await service.unknown(session, work.workspace_id, request.draft_id, error, request.now)


def _compose(work: Work[Services], claimed: Claimed) -> Mail:
    candidate = claimed.candidate
    lead, workspace, draft = candidate.lead, claimed.workspace, candidate.draft
    return compose(
        draft_id=draft.id,
        sequence_id=draft.sequence_id,
        recipient=Address(email=lead.email, name=" ".join(f"{lead.first_name} {lead.last_name}".split()) or None),
        identity=Identity(
            workspace.default_from_name,
            workspace.default_from_email,
            workspace.postal_address,
            workspace.reply_to_email,
        ),
        subject=draft.subject,
        text=draft.body,
        body_html=draft.body_html,
        unsubscribe_url=unsubscribe_url(work.resources.settings, workspace.id, lead.id, draft.id),
    )


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
