"""Dagster resource that loads the tenants' Everlytic connections and opens their API clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from uuid import UUID

import dagster as dg
import httpx
import psycopg
from pydantic import Field

from database.secrets import SecretBox
from egress.policy import EgressPolicy
from egress.transport import MEGABYTE, CallLimits, GuardedTransport
from everlytic.client import EverlyticClient, ListLimits
from orchestration.defs.everlytic.transport import HostThrottles, RetryingTransport

_ENABLED_CONNECTIONS = """
    SELECT w.id, w.name, c.transactional_url, c.tenant_url, c.username, c.encrypted_key
    FROM app.everlytic_connections AS c
    JOIN app.workspaces AS w ON w.id = c.workspace_id
    WHERE c.disabled_at IS NULL AND w.deleted_at IS NULL
    ORDER BY w.id
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A workspace with its Everlytic connection."""

    workspace_id: UUID
    name: str
    transactional_url: str
    tenant_url: str
    username: str
    encrypted_key: str = field(repr=False)


class EverlyticAccounts(dg.ConfigurableResource):  # type: ignore[type-arg] # Dagster documents it subclassed bare
    """Opens clients for tenants; `secret_key` holds the key or keys that encrypt the tenants' Everlytic API keys."""

    secret_key: str
    allowed_networks: list[str] = Field(default=[])
    """Networks that tenants may connect to besides the internet."""
    max_megabytes: float = 4.0
    """The longest answer to one request."""
    timeout_seconds: float = 30.0
    """The longest time of one attempt of a request, its whole answer included."""
    max_wait_seconds: float = 30.0
    """The longest Retry-After to wait for; with a longer one the tenant fails in this run."""
    total_timeout_seconds: float = 120.0
    """The longest time that one request may take, retries and waits included."""
    tenant_pages: int = 10_000
    """The most pages of one list that are read of a tenant in one run."""
    tenant_seconds: float = 300.0
    """The longest time that one list of a tenant is read in one run."""
    poll_seconds: float = 900.0
    """After this time of a run no further tenant is polled."""

    def load_tenants(self, connection: psycopg.Connection) -> list[Tenant]:
        """Return every workspace whose connection is not disabled."""
        return [Tenant(*row) for row in connection.execute(_ENABLED_CONNECTIONS).fetchall()]

    @asynccontextmanager
    async def open_client(self, tenant: Tenant, throttles: HostThrottles) -> AsyncIterator[EverlyticClient]:
        """Open the tenant's client, which shares `throttles` with the other clients of the run.

        Raises UndecipherableSecret if the tenant's API key was encrypted with another secret key.
        """
        policy = EgressPolicy(tuple(map(ip_network, self.allowed_networks)))
        limits = CallLimits(seconds=self.timeout_seconds, max_bytes=int(self.max_megabytes * MEGABYTE))
        api_key = SecretBox(self.secret_key).decrypt(tenant.encrypted_key)
        transport = RetryingTransport(
            GuardedTransport(policy, limits, max_connections=2),
            throttles,
            max_wait=self.max_wait_seconds,
            total_timeout=self.total_timeout_seconds,
        )
        async with httpx.AsyncClient(transport=transport, timeout=self.timeout_seconds) as http:
            yield EverlyticClient(
                http,
                transactional_url=tenant.transactional_url,
                tenant_url=tenant.tenant_url,
                username=tenant.username,
                api_key=api_key,
                list_limits=ListLimits(self.tenant_pages, self.tenant_seconds),
            )
