"""The reasons of suppressions, and the canonical form of addresses."""

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache

import idna


class SuppressionReason(StrEnum):
    """Why mail to an address or a domain is suppressed."""

    UNSUBSCRIBED = "unsubscribed"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    MANUAL = "manual"
    DOMAIN = "domain"


class SuppressionScope(StrEnum):
    """Where a suppression counts."""

    WORKSPACE = "workspace"
    ACCOUNT = "account"


RECIPIENT_REASONS = (SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINT)
"""Reasons stated by the recipient. They take precedence over reasons that we inferred; only an admin removes them."""

_PERSONAL_REASONS = frozenset({*RECIPIENT_REASONS, SuppressionReason.HARD_BOUNCE})


def default_scope(reason: SuppressionReason) -> SuppressionScope:
    """Return where a suppression counts if nothing else is asked for.

    What a recipient says, or their mail system about the address, counts for the whole account, whichever workspace
    mailed it. What a user enters counts for the workspace that it is entered in.
    """
    return SuppressionScope.ACCOUNT if reason in _PERSONAL_REASONS else SuppressionScope.WORKSPACE


MAX_ADDRESS_CHARACTERS = 320
"""A local part of 64 characters, the @ and a domain of 255: nothing longer is the address of a mailbox."""
_AROUND = " \t\r\n\v\f\u00a0\u200b\u200c\u200d\u2060\ufeff"
"""What stands around an address and is no part of it: blanks, and characters that no screen shows."""
_FULL_STOPS = ".\u3002\uff0e\uff61"
_HOST = re.compile(r"[a-z0-9._\-\u0080-\U0010ffff]*")
_DOTLESS_PROVIDERS = frozenset({"gmail.com", "googlemail.com"})


def normalise_address(address: str) -> str:
    """Return the canonical form of an address: every address is stored, compared and looked up in this form.

    It is trimmed, in Unicode's normal form and in lower case. A domain is written in Unicode, whether it was given so
    or in Punycode; one that IDNA does not allow stays in lower case. Text that is too long for an address is only
    trimmed and lower-cased, so that the time is linear in its length.
    """
    address = address.strip(_AROUND)
    if len(address) > MAX_ADDRESS_CHARACTERS:
        return address.lower()
    local, at, domain = address.rpartition("@")
    return f"{_lower(local)}{at}{normalise_domain(domain) if at else _lower(domain)}"


def normalise_domain(domain: str) -> str:
    """Return the canonical form of a domain, without a full stop at its end."""
    domain = domain.strip(_AROUND + _FULL_STOPS)
    if len(domain) > MAX_ADDRESS_CHARACTERS or (domain.isascii() and "xn--" not in domain.lower()):
        return domain.lower()
    return _normalise_idn(_lower(domain))


@lru_cache(maxsize=4096)
def _normalise_idn(domain: str) -> str:
    labels = _split_labels(domain)
    return ".".join(map(_to_unicode_label, labels)) if labels else domain


def _split_labels(domain: str) -> list[str] | None:
    """Return the labels of a domain with its characters mapped by UTS 46; None if it is no domain."""
    try:
        mapped = idna.uts46_remap(domain, std3_rules=False, transitional=False)
    except UnicodeError:  # the class of IDNAError
        return None
    # The mapping of a character may have a blank or an @.
    return mapped.strip(".").split(".") if _HOST.fullmatch(mapped) else None


def _to_unicode_label(label: str) -> str:
    """Return a label in Unicode; one that is not allowed stays as it is, without a change to the others."""
    if label.isascii() and not label.startswith("xn--"):
        return label
    try:
        return idna.ulabel(idna.alabel(label))
    except UnicodeError:
        return label


def _lower(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def to_ascii_address(address: str) -> str:
    """Return the canonical address with its domain in Punycode, as mail servers exchange it."""
    local, at, domain = normalise_address(address).rpartition("@")
    labels = _split_labels(domain) if at and not domain.isascii() else None
    return f"{local}{at}{'.'.join(map(_to_ascii_label, labels)) if labels else domain}"


def _to_ascii_label(label: str) -> str:
    try:
        return label if label.isascii() else idna.alabel(label).decode("ascii")
    except UnicodeError:
        return label


def extract_domain(address: str) -> str:
    """Return the domain part of an address in its canonical form."""
    return normalise_address(address).rpartition("@")[2]


def derive_person_key(address: str) -> str:
    """Return what all spellings of one person's mailbox share: a suppression of one of them covers the others.

    A tag after a plus is left out (`anna+news@` is `anna@`). At Gmail, dots are left out too, and both of its domains
    are one. A domain written `@example.com` stays. `app.person_key` of the database does the same with a canonical
    address, and `app.suppression_hash` is the hash of its result.
    """
    local, at, domain = normalise_address(address).rpartition("@")
    if not local or local.startswith('"'):
        return f"{local}{at}{domain}"
    bare = local[0] + local[1:].partition("+")[0]
    if domain in _DOTLESS_PROVIDERS:
        bare, domain = bare.replace(".", "") or bare, "gmail.com"
    return f"{bare}@{domain}"
