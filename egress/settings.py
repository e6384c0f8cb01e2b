"""The settings of connections to hosts that tenants configure."""

import json
from ipaddress import IPv4Network, IPv6Network

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from egress.addresses import LOOPBACK
from egress.policy import EgressPolicy
from egress.transport import MEGABYTE, CallLimits


class EgressSettings(BaseSettings):
    """Settings from environment variables with the prefix SALESMATTER_, for every process that calls such hosts."""

    model_config = SettingsConfigDict(env_prefix="SALESMATTER_", env_file=".env", extra="ignore", env_ignore_empty=True)

    egress_allowed_networks: list[IPv4Network | IPv6Network] = []
    """Networks that tenants may connect to besides the internet, for a sandbox or a mail server of one's own."""
    provider_timeout_seconds: float = Field(default=60.0, gt=0)
    """The longest time of a call to Everlytic in total. After it the outcome of the call is unknown."""
    provider_connect_seconds: float = Field(default=10.0, gt=0)
    """The longest time to connect to Everlytic."""
    provider_max_megabytes: float = Field(default=4.0, gt=0)
    """The longest answer of Everlytic, compressed and not."""

    @property
    def egress_policy(self) -> EgressPolicy:
        """The policy for connections to hosts that tenants configure."""
        return EgressPolicy(tuple(self.egress_allowed_networks))

    @property
    def call_limits(self) -> CallLimits:
        """The limits of a call to Everlytic."""
        return CallLimits(
            seconds=self.provider_timeout_seconds,
            connect_seconds=self.provider_connect_seconds,
            max_bytes=int(self.provider_max_megabytes * MEGABYTE),
        )


def allow_loopback() -> dict[str, str]:
    """Return the environment of processes that may connect to this machine, besides what the settings allow."""
    allowed = dict.fromkeys([*EgressSettings().egress_allowed_networks, *LOOPBACK])
    return {"SALESMATTER_EGRESS_ALLOWED_NETWORKS": json.dumps([str(network) for network in allowed])}
