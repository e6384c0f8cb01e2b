"""Names what a bounce is about, from a provider's fields in any spelling or nesting, or from an SMTP status."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.bounded_json import parse_json


class BounceKind(StrEnum):
    """What a bounce is about."""

    ADDRESS = "address"
    """The address does not exist: the only kind that suppresses it and counts as hard."""
    MAILBOX_FULL = "mailbox_full"
    POLICY = "policy"
    """The receiving server refuses mail from this sender, permanently."""
    AUTHENTICATION = "authentication"
    """SPF, DKIM, DMARC or the reverse DNS of the sender failed."""
    CONTENT = "content"
    """The receiving server refuses this message: its size, format, attachment."""
    UNKNOWN = "unknown"

    @property
    def is_hard(self) -> bool:
        """Whether no further mail may go to the address."""
        return self is BounceKind.ADDRESS

    @property
    def concerns_connection(self) -> bool:
        """Whether the next mail to any other address would be refused too."""
        return self in {BounceKind.POLICY, BounceKind.AUTHENTICATION}


CONNECTION_REFUSALS: Mapping[BounceKind, str] = {
    BounceKind.POLICY: "a recipient's mail server refused a mail of this connection by its policy",
    BounceKind.AUTHENTICATION: "a recipient's mail server could not authenticate the mail of this connection",
}
"""Why all sequences pause after a bounce that concerns the connection."""

MAX_FIELDS, MAX_FIELD_LENGTH, MAX_NESTING = 100, 1000, 8
"""Only so many fields of a record, so many characters of each and so many levels are read."""
MAX_DESCRIPTION = 200

_STATUS = re.compile(r"(?<![\d.])([45])\.([0-7])\.(\d{1,3})(?!\.?\d)", re.ASCII)
_REPLY_CODE = re.compile(r"(?:^|smtp[;:]?)\s*([45])\d\d(?![\d.])", re.ASCII | re.IGNORECASE)
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\W_]+")

_PERMANENT = re.compile(r"\b(?:hard|permanent|perm|fatal)\b|^(?:5\d\d|5 ?xx|5)$")
_TEMPORARY = re.compile(
    r"\b(?:soft|transient|temporary|temporarily|temp|deferred|deferral|delayed|grey ?list\w*|gray ?list\w*"
    r"|try again later|timed out|\w*time ?out)\b|^(?:4\d\d|4 ?xx|4)$"
)

_RECIPIENT = r"user|recipient|mail ?box|address|account|e ?mail|domain|host"
_EXIST = r"(?:found|exist|known|valid)"
_UNDETERMINED = re.compile(r"\b(?:undetermined|unidentified|unclassified|other)\b")

# In the order in which they are tried. What a text says about the sender comes before what it says about an address,
# because "sender address does not exist" is no reason to suppress a recipient.
_PHRASES: tuple[tuple[BounceKind, tuple[str, ...]], ...] = (
    (
        BounceKind.AUTHENTICATION,
        (
            r"dmarc|dkim|spf|reverse dns|rdns|ptr record",
            r"unauthenticated|not authenticated",
            r"authentication(?! required)",
        ),
    ),
    (
        BounceKind.MAILBOX_FULL,
        (
            r"(?:mail ?|in)box (?:is )?(?:full|over)|mailboxfull|full mail ?box|mailbox size limit",
            r"over ?quota|quota|exceed\w* (?:\w+ )?storage|out of storage|insufficient storage",
        ),
    ),
    (
        BounceKind.POLICY,
        (r"sender (?:\w+ ){0,3}(?:rejected|not exist|not found|unknown|invalid|denied|blocked)",),
    ),
    (
        BounceKind.ADDRESS,
        (
            rf"(?:unknown|no such|non ?existent|nonexisting) (?:local )?(?:person|part|{_RECIPIENT})",
            rf"(?:{_RECIPIENT}) (?:(?:was|is|could|can|does|do|account) ){{0,2}}(?:not|cannot) (?:be )?{_EXIST}",
            rf"(?:{_RECIPIENT}) (?:is )?(?:unknown|non ?existent)",
            r"(?:does not|doesn t) exist|no longer exists?|nxdomain|null mx|user ?unknown|unknownuser|nouser",
            r"no (?:e ?mail|mail ?box)",
            r"invalid (?:recipient|mail ?box|e ?mail|address|user|rcpt)",
        ),
    ),
    (
        BounceKind.POLICY,
        (
            r"policy\w*|spam\w*|block(?:ed|list|listed|ing)?|black ?list\w*|rbl|dnsbl|reputation|authentication",
            r"access denied|relay\w* (?:access )?denied|not permitted|prohibited|banned|unsolicited",
        ),
    ),
    (
        BounceKind.CONTENT,
        (
            r"content\w*|attachment\w*|virus\w*|malware|malformed|format error",
            r"too (?:large|big|long)|size limit|message ?(?:size|too large)|messagetoolarge",
        ),
    ),
    (
        BounceKind.ADDRESS,
        (
            r"(?:recipient|rcpt|destination)(?: address)? (?:rejected|refused|invalid)|invalid domain",
            r"bad (?:mail ?box|address|recipient|e ?mail|destination|domain)",
            r"(?<!ip )address (?:rejected|invalid)",
            rf"(?:{_RECIPIENT}) (?:is |has been |was )?(?:disabled|inactive|deactivated|closed|deleted)",
            rf"inactive (?:{_RECIPIENT})",
        ),
    ),
)
_PATTERNS = tuple((kind, re.compile(rf"\b(?:{'|'.join(phrases)})\b")) for kind, phrases in _PHRASES)

_PERMANENT_CLASS = 5
_ADDRESS_SUBJECT, _CONTENT_SUBJECT, _POLICY_SUBJECT = 1, 6, 7
_SENDER_STATUSES = frozenset({(1, 7), (1, 8)})
"""The address that these statuses refuse is the sender's."""
_AUTHENTICATION_DETAILS = frozenset({5, 7, 20, 21, 22, 23, 24, 25, 26, 27, 29, 509, 515})
"""Details of 5.7 in RFC 7372, RFC 8616 and by Google and Microsoft: signature, SPF, DKIM, DMARC, reverse DNS."""
_RESTRICTED_RECIPIENTS = frozenset({12, 124, 133, 134, 135, 136})
"""Details of 5.7 by Exchange: this recipient takes mail only from chosen senders, which says nothing about others."""
_CLASSES = re.compile(r"type|class|categor|severity|kind")
_DETAILS = re.compile(r"reason|status|diagnos|code|message|descri|detail|error|response|text|smtp|explan|bounce")
_OTHER_NAMES = re.compile(r"message_?(?:id|size)|content_?type|mime|subject|agent|url|link|header|recipient")
_ADDRESS = re.compile(r"(?<![^\s@])[^\s@]+@[\w.-]*>?")
_ADDRESS_CLASSES = frozenset({"address", "bad address", "invalid", "recipient"})
_FLAGS = re.compile(r"hard|soft|permanent|transient|temporary")


@dataclass(frozen=True, slots=True)
class _Statement:
    """What a bounce record says: the texts of its classes, and those of its reasons."""

    classes: tuple[str, ...]
    details: tuple[str, ...]


def classify_bounce(record: Mapping[str, object]) -> BounceKind:
    """Return the kind of a bounce by the provider's fields; names, spelling, separators and nesting do not matter.

    A class such as "soft" that is temporary never means the address. The reason decides over the class "hard", which
    Everlytic also gives to mail refused by policy; "hard" with no legible reason means the address. Without a class,
    only a status or a reason that names the address does.
    """
    statement = _read(record)
    classes = [_normalize(text) for text in statement.classes]
    texts = [*statement.details, *statement.classes]
    is_temporary = any(_TEMPORARY.search(text) for text in classes)
    is_permanent = any(_PERMANENT.search(text) for text in classes)
    return _classify(texts, is_temporary=is_temporary, is_permanent=is_permanent)


def classify_status(status: str, detail: str = "") -> BounceKind:
    """Return the kind of a bounce by an SMTP enhanced status such as ``5.1.1`` and the server's text, if any."""
    return _classify([status[:MAX_FIELD_LENGTH], detail[:MAX_FIELD_LENGTH]], is_temporary=False, is_permanent=False)


def describe_bounce(record: Mapping[str, object]) -> str:
    """Return the provider's reason of a bounce in one line, at most MAX_DESCRIPTION characters, without addresses."""
    details = [" ".join(_ADDRESS.sub("…", text).split()) for text in _read(record).details]
    return next(filter(None, details), "")[:MAX_DESCRIPTION]


def explain_refusal(kind: BounceKind | None, detail: str) -> str | None:
    """Return why all sequences pause after a bounce of this kind; None if it does not concern the connection."""
    reason = CONNECTION_REFUSALS.get(kind) if kind is not None else None
    return f"{reason}: {detail}" if reason and detail else reason


def _classify(texts: list[str], *, is_temporary: bool, is_permanent: bool) -> BounceKind:
    statuses = [match for text in texts for match in _STATUS.finditer(text)]
    replies = [match for text in texts for match in _REPLY_CODE.finditer(text)]
    if statuses:
        is_temporary |= statuses[0][1] != "5"
    elif replies:
        is_temporary |= replies[0][1] == "4"
    elif not is_permanent:
        is_temporary |= any(_TEMPORARY.search(_normalize(text)) for text in texts)
    phrase = _match_phrases(texts)
    kind = next(filter(None, (_classify_code(match, phrase) for match in statuses)), phrase)
    if is_temporary and kind in {BounceKind.ADDRESS, BounceKind.POLICY}:
        return BounceKind.UNKNOWN
    if kind is BounceKind.UNKNOWN and is_permanent and not is_temporary and _is_silent(texts, statuses):
        return BounceKind.ADDRESS
    return kind


def _classify_code(match: re.Match[str], phrase: BounceKind) -> BounceKind | None:
    """Return the kind that a status means, None if it leaves that to the text."""
    severity, subject, detail = (int(part) for part in match.groups())
    if (subject, detail) == (2, 2):
        return BounceKind.MAILBOX_FULL
    if subject == _POLICY_SUBJECT and detail in _RESTRICTED_RECIPIENTS:
        return BounceKind.UNKNOWN
    if subject == _POLICY_SUBJECT:
        is_authentication = detail in _AUTHENTICATION_DETAILS or phrase is BounceKind.AUTHENTICATION
        return BounceKind.AUTHENTICATION if is_authentication else BounceKind.POLICY
    if subject == _CONTENT_SUBJECT or (subject, detail) in {(3, 4), (2, 3)}:
        return BounceKind.CONTENT
    if subject == _ADDRESS_SUBJECT and severity == _PERMANENT_CLASS:
        return BounceKind.POLICY if (subject, detail) in _SENDER_STATUSES else BounceKind.ADDRESS
    return None


def _match_phrases(texts: list[str]) -> BounceKind:
    normalized = [_normalize(text) for text in texts]
    joined = " | ".join(normalized)
    kind = next((kind for kind, pattern in _PATTERNS if pattern.search(joined)), BounceKind.UNKNOWN)
    if kind is BounceKind.UNKNOWN and not _ADDRESS_CLASSES.isdisjoint(normalized):
        return BounceKind.ADDRESS
    return kind


def _is_silent(texts: list[str], statuses: list[re.Match[str]]) -> bool:
    """Return whether neither a status nor the text says that the cause is another than the address."""
    if any(match[2] not in {"0", "1", "2"} for match in statuses):
        return False
    normalized = [_normalize(text) for text in texts]
    return not any(_TEMPORARY.search(text) or _UNDETERMINED.search(text) for text in normalized)


def _normalize(text: str) -> str:
    """Return a text in lower case with single spaces between its words, and without addresses, which are no words."""
    return _SEPARATORS.sub(" ", _CAMEL_CASE.sub(" ", _ADDRESS.sub(" ", text))).strip().casefold()


def _read(record: Mapping[str, object]) -> _Statement:
    classes: list[str] = []
    details: list[str] = []
    for name, value in _walk(record):
        if isinstance(value, bool):
            if value and _FLAGS.search(name):
                classes.append(name)
        elif _OTHER_NAMES.search(name):
            continue
        elif _CLASSES.search(name):
            classes.append(str(value)[:MAX_FIELD_LENGTH])
        elif _DETAILS.search(name):
            details.append(str(value)[:MAX_FIELD_LENGTH])
    return _Statement(tuple(classes), tuple(details))


def _walk(record: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield each text, number and flag with its name, in their order; a list's items have the name of the list."""
    pending: list[tuple[str, object, int]] = [("", record, 0)]
    for _ in range(MAX_FIELDS):
        if not pending:
            return
        name, value, level = pending.pop()
        value = _parse_text(value)
        if isinstance(value, Mapping) and level < MAX_NESTING:
            inner = list(value.items())[:MAX_FIELDS]
            pending.extend(
                (_CAMEL_CASE.sub("_", str(key)).casefold(), item, level + 1) for key, item in reversed(inner)
            )
        elif isinstance(value, list) and level < MAX_NESTING:
            pending.extend((name, item, level + 1) for item in reversed(value[:MAX_FIELDS]))
        elif isinstance(value, str | int | float):
            yield name, value


def _parse_text(value: object) -> object:
    """Return the value of a text that is itself a JSON object or list, as forms have it."""
    if isinstance(value, str) and value[:1] in {"{", "["} and len(value) <= MAX_FIELD_LENGTH * 10:
        try:
            return parse_json(value, max_depth=MAX_NESTING)
        except ValueError:
            return value
    return value
