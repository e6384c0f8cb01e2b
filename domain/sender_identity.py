"""What a workspace needs before it may mail people: a sender, a postal address, and links that lead to the service."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".localdomain")


@dataclass(frozen=True, slots=True)
class Identity:
    """The sender of a workspace's mails, and the URLs of its provider and of this service."""

    provider_url: str
    public_url: str
    from_name: str
    from_email: str
    postal_address: str


def is_public_url(url: str) -> bool:
    """Return whether the host of a URL can be one on the internet: no local name, no private or loopback address."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(LOCAL_SUFFIXES)


def list_identity_problems(identity: Identity) -> list[str]:
    """Return why a workspace may not mail people yet, a sentence each.

    A provider whose host is not on the internet reaches no person: with the sandbox, everything goes.
    """
    if not is_public_url(identity.provider_url):
        return []
    problems = []
    if not identity.postal_address.strip():
        problems.append("the workspace has no postal address; set postalAddress")
    if not identity.from_name.strip() or not identity.from_email.strip():
        problems.append("the workspace has no sender; set defaultFromName and defaultFromEmail")
    if not is_public_url(identity.public_url):
        problems.append(
            f"the unsubscribe link would lead to {identity.public_url}, which recipients cannot reach; "
            "set SALESMATTER_PUBLIC_URL"
        )
    return problems
