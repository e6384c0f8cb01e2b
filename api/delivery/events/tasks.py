"""Jobs that apply what the provider reports, and that send another unsubscribe link."""

from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from api.delivery.events import links, repository, service
from api.delivery.events.links import LinkMail
from api.delivery.sending.content import SenderIdentity, compose_link_mail
from api.http.resources import Services
from api.jobs.engine import Deferred, Unrecoverable, Work
from api.jobs.work import hold_place
from everlytic.errors import QuotaExceeded, RateLimited, Unavailable, Unreachable

RETRY_AFTER = timedelta(minutes=5)


async def apply_provider_events(work: Work[Services]) -> None:
    """Apply the workspace's unapplied provider rows, one batch in each transaction, until none is left."""
    async with work.transaction() as session:
        # Rows that are being stored now are visible to the transactions that begin after this one.
        await repository.lock_intake_exclusive(session, work.workspace_id)
    while True:
        async with work.transaction() as session:
            rows = await service.lock_provider_rows(session, work.workspace_id)
            if not rows:
                return
            await service.apply_provider_rows(session, work.workspace_id, rows, work.clock.now())


async def sync_analytics(work: Work[Services]) -> None:
    """After a sync, record the sends of unknown outcome that Everlytic's transaction list contains as accepted."""
    async with work.transaction() as session:
        await service.accept_listed_sends(session, work.workspace_id, work.clock.now())


async def send_unsubscribe_link(work: Work[Services]) -> None:
    """Send another link through the connection of the workspace; it is retried only if Everlytic took nothing."""
    draft_id, now = UUID(work.payload["draftId"]), work.clock.now()
    settings = work.resources.settings
    async with work.transaction() as session:
        link_mail = await links.find_link_mail(
            session, work.workspace_id, draft_id, public_url=settings.public_url, now=now
        )
    if not isinstance(link_mail, LinkMail):
        raise Unrecoverable(f"No link can be sent: {link_mail}.")
    workspace, connection = link_mail.workspace, link_mail.connection
    if connection.blocked_until is not None and connection.blocked_until > now:
        raise Deferred(connection.blocked_until, connection.blocked_reason or "Everlytic did not accept the last mails")
    mail = compose_link_mail(
        draft_id=draft_id,
        workspace_id=workspace.id,
        address=link_mail.address,
        identity=SenderIdentity(
            workspace.default_from_name,
            workspace.default_from_email,
            workspace.postal_address,
            workspace.reply_to_email,
        ),
        unsubscribe_url=work.resources.unsubscribe_url(workspace.id, link_mail.lead_id, draft_id),
    )
    host = urlsplit(connection.transactional_url).netloc
    try:
        async with hold_place(work, work.resources.looking_up, host):
            await work.resources.everlytic(connection).send(mail)
    except (QuotaExceeded, RateLimited, Unavailable, Unreachable) as error:
        raise Deferred(now + RETRY_AFTER, str(error)) from error
