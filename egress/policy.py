"""The policy for connections to hosts that tenants configure: each connection resolves its host and checks the address.

A connection is made to an address that was checked, never to the name, so that a name which changes its address
between the check and the connection changes nothing.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from egress.addresses import Address, Network, is_public, parse_address
from egress.errors import AddressRefused, NameNotFound

LookUp = Callable[[str], Sequence[str]]
"""Returns the IP addresses of a name as text; raises OSError."""

MAX_ADDRESSES = 4
"""How many addresses of a name are tried."""
MAX_LOOKUPS = 64
"""How many names are looked up at once; a lookup cannot be ended, so a slow name server holds a thread."""
LOOKUP_SECONDS = 10.0


def look_up(name: str) -> list[str]:
    """Return the IP addresses of a name by the resolver of this machine; raises OSError."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Permits public addresses, and those of `allowed_networks`."""

    allowed_networks: tuple[Network, ...] = ()
    look_up: LookUp = look_up

    def permits(self, address: Address) -> bool:
        """Return whether tenants may connect to an address."""
        return is_public(address) or any(address in network for network in self.allowed_networks)

    def resolve_blocking(self, host: str) -> list[str]:
        """Return the addresses of a host, all of which are permitted; raises AddressRefused and NameNotFound.

        A host with a permitted and another address is refused, because it has no honest reason for the other one.
        """
        literal = parse_address(host)
        if literal is not None:
            addresses: list[Address | None] = [literal]
        else:
            try:
                addresses = [parse_address(text) for text in self.look_up(host)]
            # The codec of names raises UnicodeError for a label that is too long or empty.
            except (OSError, UnicodeError) as error:
                raise NameNotFound(f"The host {host} has no address: its name was not found.") from error
        known = [address for address in addresses if address is not None and self.permits(address)]
        if len(known) != len(addresses):
            raise AddressRefused(
                f"The host {host} has an address to which connections are not allowed. Use a host on the internet."
            )
        if not known:
            raise NameNotFound(f"The host {host} has no address.")
        return [str(address) for address in known[:MAX_ADDRESSES]]

    async def resolve(self, host: str) -> list[str]:
        """Return the addresses of a host, as `resolve_blocking` does, without blocking the event loop."""
        if parse_address(host) is not None:
            return self.resolve_blocking(host)
        future = asyncio.get_running_loop().run_in_executor(_get_threads(), self.resolve_blocking, host)
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                return await future
        except TimeoutError as error:
            raise NameNotFound(f"The host {host} has no address: the lookup of its name took too long.") from error


@cache
def _get_threads() -> ThreadPoolExecutor:
    # Not the loop's own threads, which other work of the process needs.
    return ThreadPoolExecutor(MAX_LOOKUPS, "lookup")
