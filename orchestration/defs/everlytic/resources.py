"""The tenants' accounts at Everlytic: read from their connections, opened as typed clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import dagster as dg
import httpx
import psycopg

from database.secrets import SecretBox
from everlytic.client import EverlyticClient
from orchestration.defs.everlytic.transport import Hosts, PatientTransport

_LIVE_CONNECTIONS = """
    SELECT w.id, w.name, c.transactional_url, c.tenant_url, c.username, c.encrypted_key
    FROM app.everlytic_connections AS c
    JOIN app.workspaces AS w ON w.id = c.workspace_id
    WHERE c.disabled_at IS NULL AND w.deleted_at IS NULL
    ORDER BY w.id
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A workspace and its way to Everlytic."""

    workspace_id: UUID
    name: str
    transactional_url: str
    tenant_url: str
    username: str
    encrypted_key: str = field(repr=False)


class EverlyticAccounts(dg.ConfigurableResource):  # type: ignore[type-arg] # Dagster documents it subclassed bare
    """Opens clients for tenants; `secret_key` is the key (or keys) their provider keys are encrypted under."""

    secret_key: str
    timeout_seconds: float = 30.0
    longest_wait_seconds: float = 30.0
    """The longest Retry-After that is waited out; a tenant that is asked to wait longer is given up for this run."""
    patience_seconds: float = 180.0
    """The longest that one request may take, all its tries and waits included."""

    def tenants(self, connection: psycopg.Connection) -> list[Tenant]:
        """Return every workspace whose connection is not disabled."""
        return [Tenant(*row) for row in connection.execute(_LIVE_CONNECTIONS).fetchall()]

    @asynccontextmanager
    async def client(self, tenant: Tenant, hosts: Hosts) -> AsyncIterator[EverlyticClient]:
        """Open the tenant's client, which waits together with all others of `hosts`.

        Raises UndecipherableSecret when the tenant's key was written under another secret.
        """
        api_key = SecretBox(self.secret_key).decrypt(tenant.encrypted_key)
        transport = PatientTransport(
            httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=2)),
            hosts,
            longest_wait=self.longest_wait_seconds,
            patience=self.patience_seconds,
        )
        async with httpx.AsyncClient(transport=transport, timeout=self.timeout_seconds) as http:
            yield EverlyticClient(
                http,
                transactional_url=tenant.transactional_url,
                tenant_url=tenant.tenant_url,
                username=tenant.username,
                api_key=api_key,
            )
