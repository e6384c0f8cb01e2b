"""What a process opens at its start and closes at its end: pools, clock, keys, the HTTP client, the model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from ai.models import ModelAccess, create_model_access
from ai.settings import AiSettings
from ai.tracing import Tracing, create_tracing
from api.http.authentication.tokens import TokenVerifier, token_verifier
from api.http.batches import Batches
from api.http.parsing import ParserThreads
from api.http.places import Places, create_places
from api.settings import ApiSettings, OidcSettings
from database.commit_notifier import CommitNotifier, run_commit_notifier
from database.engine import create_pool
from database.migrate import require_current_schema
from database.models import EverlyticConnection
from database.roles import APP_ROLE, role_url
from database.secrets import SecretBox
from domain.clock import Clock
from domain.unsubscribe_link import build_unsubscribe_url
from egress.policy import EgressPolicy
from egress.transport import GuardedTransport
from everlytic.client import EverlyticClient, ListLimits

ISSUER_SECONDS = 5.0
CONFIRMED_AT_ONCE = 8
IDLE_SECONDS = 30.0
"""How long an unused connection to a provider stays open; load balancers commonly close theirs after a minute."""


@dataclass(frozen=True, slots=True)
class Services:
    """The resources that endpoints and tasks use."""

    settings: ApiSettings
    pool: AsyncEngine
    batches: Batches
    clock: Clock
    secrets: SecretBox
    egress: EgressPolicy
    """Decides to which hosts of tenants connections are made."""
    http: httpx.AsyncClient
    """Calls hosts that tenants configure, by the policy and within limits."""
    tokens: TokenVerifier | None
    models: ModelAccess | None
    tracing: Tracing
    calling: Places
    """Limits how many mails are claimed and sent at the same time."""
    looking_up: Places
    """Limits how many other calls to Everlytic are made at the same time."""
    reading: Places
    """Limits how many mailboxes are read at the same time."""
    confirming: asyncio.Semaphore
    """Limits how many claimed mails are checked again at a time: few, so that each call follows its check at once."""
    files: ParserThreads
    """The threads that parse uploaded files."""
    messages: ParserThreads
    """The threads that parse received messages."""
    commit_notifier: CommitNotifier
    """Tells other processes what this one commits."""

    def everlytic(self, connection: EverlyticConnection) -> EverlyticClient:
        """Return a client for a workspace's connection."""
        return EverlyticClient(
            self.http,
            transactional_url=connection.transactional_url,
            tenant_url=connection.tenant_url,
            username=connection.username,
            api_key=self.secrets.decrypt(connection.encrypted_key),
            list_limits=ListLimits(self.settings.lookup_max_pages, self.settings.lookup_seconds),
        )

    def unsubscribe_url(self, workspace_id: UUID, lead_id: UUID, draft_id: UUID) -> str:
        """Return the URL of the unsubscribe link in a mail."""
        keys = self.settings.secret_key.get_secret_value()
        return build_unsubscribe_url(keys, self.settings.public_url, workspace_id, lead_id, draft_id)


def _create_places(settings: ApiSettings, total: int) -> Places:
    return create_places(
        total,
        workspace_share=settings.provider_workspace_share,
        host_share=settings.provider_host_share,
        wait_seconds=settings.provider_wait_seconds,
    )


@asynccontextmanager
async def open_services(
    settings: ApiSettings, ai: AiSettings, owner: URL, *, name: str, oidc: OidcSettings | None = None
) -> AsyncIterator[Services]:
    """Open the resources of a process and close them at the end; raises DatabaseUnreachable and SchemaOutOfDate."""
    app = role_url(owner, APP_ROLE)
    pool = create_pool(app, size=settings.pool_size, application_name=name)
    files, messages = ParserThreads("files", settings.file_threads), ParserThreads("messages", settings.message_threads)
    models, traces = create_model_access(ai), create_tracing(ai)
    policy, limits = settings.egress_policy, settings.call_limits
    guarded = GuardedTransport(policy, limits, max_connections=settings.send_concurrency * 2, idle_seconds=IDLE_SECONDS)
    try:
        await require_current_schema(pool)
        async with (
            httpx.AsyncClient(transport=guarded, timeout=limits.seconds) as http,
            # The issuer is the operator's choice, and may be on a private network.
            httpx.AsyncClient(timeout=ISSUER_SECONDS) as issuer,
            run_commit_notifier(app, f"{name}-notifier") as commit_notifier,
        ):
            commit_notifier.watch(pool)
            secrets = SecretBox(settings.secret_key.get_secret_value())
            batches = Batches(pool, settings.batch_milliseconds / 1000)
            clock = Clock.parse(settings.clock)
            tokens = token_verifier(issuer, oidc.issuer, oidc.audience) if oidc is not None else None
            yield Services(
                settings,
                pool,
                batches,
                clock,
                secrets,
                policy,
                http,
                tokens,
                models,
                traces,
                _create_places(settings, settings.send_concurrency),
                _create_places(settings, settings.lookup_concurrency),
                _create_places(settings, settings.mailbox_concurrency),
                asyncio.Semaphore(CONFIRMED_AT_ONCE),
                files,
                messages,
                commit_notifier,
            )
    finally:
        if models is not None:
            await models.close()
        # Closing waits for traces that are being sent.
        await asyncio.to_thread(traces.close)
        files.close()
        messages.close()
        await pool.dispose()
