"""Jobs of a workspace's connection to Everlytic."""

from datetime import datetime
from urllib.parse import urlsplit

from pydantic import SecretStr

from api.accounts.workspaces import repository, service
from api.accounts.workspaces.service import WEBHOOK_USER
from api.http.resources import Services
from api.jobs.engine import Deferred, RetryLater, Unrecoverable, Work
from api.jobs.work import hold_place
from database.secrets import hash_credential
from domain.breaker import MAX_RETRY_AFTER
from everlytic.errors import EverlyticError, Fault, Unauthorized
from everlytic.models import WebhookRegistration

RETRY_SECONDS = 60.0


async def register_webhook(work: Work[Services]) -> None:
    """Register the workspace's webhook at Everlytic."""
    services = work.resources
    async with work.transaction() as session:
        await service.find_workspace(session, work.workspace_id)
        connection = await service.find_connection(session, work.workspace_id)
    token = services.secrets.decrypt(work.payload["token"])
    if connection.disabled_at is not None or hash_credential(token) != connection.webhook_token_hash:
        return
    url = f"{services.settings.public_url.rstrip('/')}/api/webhooks/everlytic/{token}"
    registration = WebhookRegistration(
        url=url,
        username=WEBHOOK_USER,
        password=SecretStr(services.secrets.decrypt(connection.encrypted_webhook_password)),
    )
    client = services.everlytic(connection)
    try:
        host = urlsplit(connection.transactional_url).netloc
        async with hold_place(work, services.looking_up, host):
            if any(webhook.url == url for webhook in await client.list_webhooks()):
                return
            webhook = await client.create_webhook(registration)
    except Unauthorized as error:
        async with work.transaction() as session:
            await service.record_refused_credentials(session, work.workspace_id, [(connection, str(error))])
        raise Unrecoverable(f"Everlytic refused the connection's credentials: {error}") from error
    except EverlyticError as error:
        if error.fault is Fault.OURS:
            raise RetryLater(str(error)) from error
        seconds = min(max(error.retry_after or 0, RETRY_SECONDS), MAX_RETRY_AFTER.total_seconds())
        raise Deferred(work.clock.after(seconds), str(error)) from error
    async with work.transaction() as session:
        await repository.set_webhook(session, work.workspace_id, webhook.id)


async def wake_sends(work: Work[Services]) -> None:
    """Reschedule the sends that wait for the end of a block which ended early."""
    async with work.transaction() as session:
        waiting_for = datetime.fromisoformat(work.payload["waitingFor"])
        await repository.wake_sends(session, work.workspace_id, waiting_for, work.clock.now())
