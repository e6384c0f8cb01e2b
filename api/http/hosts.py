"""Checks hosts that a request configures before they are stored; each connection to them checks again."""

from collections.abc import Mapping

from api.http.errors import HostRefused
from egress.errors import AddressRefused, NameNotFound
from egress.policy import EgressPolicy


async def require_permitted_hosts(policy: EgressPolicy, hosts: Mapping[str, str]) -> None:
    """Raise HostRefused, with the field of the body, for a host that has an address that is not allowed.

    A host whose name is not found now is accepted, because it may exist later.
    """
    for field, host in hosts.items():
        try:
            await policy.resolve(host)
        except AddressRefused as error:
            raise HostRefused(str(error), errors=[{"location": ["body", field], "message": str(error)}]) from error
        except NameNotFound:
            continue
