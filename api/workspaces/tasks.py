"""Jobs of a workspace's connection to Everlytic."""

from pydantic import SecretStr

from api.jobs.engine import RetryLater, Unrecoverable, Work
from api.resources import Services
from api.workspaces import service
from api.workspaces.service import WEBHOOK_USER
from everlytic.errors import EverlyticError, Unauthorized
from everlytic.models import WebhookRegistration


async def register_webhook(work: Work[Services]) -> None:
    """Ask Everlytic to post the workspace's events to us, in place of an earlier registration of ours."""
    services = work.resources
    async with work.transaction() as session:
        await service.find_workspace(session, work.workspace_id)
        connection = await service.find_connection(session, work.workspace_id)
    if connection.disabled_at is not None:
        return
    token = services.secrets.decrypt(work.payload["token"])
    url = f"{services.settings.public_url.rstrip('/')}/api/webhooks/everlytic/{token}"
    registration = WebhookRegistration(
        url=url,
        username=WEBHOOK_USER,
        password=SecretStr(services.secrets.decrypt(connection.encrypted_webhook_password)),
    )
    client = services.everlytic(connection)
    try:
        if any(webhook.url == url for webhook in await client.list_webhooks()):
            return
        webhook = await client.create_webhook(registration)
    except Unauthorized as error:
        raise Unrecoverable(f"Everlytic refused the connection's credentials: {error}") from error
    except EverlyticError as error:
        raise RetryLater(str(error), error.retry_after) from error
    async with work.transaction() as session:
        await service.webhook_registered(session, work.workspace_id, webhook.id)
