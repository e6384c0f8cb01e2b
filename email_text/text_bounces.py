"""Reads bounces that are written as plain text: qmail, Exchange, Postfix, Exim, Sendmail, Yahoo, Google, Domino."""

import re

from email_text.addresses import find_addresses, find_sender
from email_text.authors import RawHeaders
from email_text.phrase_files import compile_phrases
from email_text.reports import (
    MAX_DETAIL_CHARACTERS,
    MAX_MESSAGE_IDS,
    MAX_RECIPIENTS,
    STATUS,
    Report,
    ReportedRecipient,
    ReportKind,
)

MAX_BOUNCE_CHARACTERS = 20_000
MAX_OPENING_CHARACTERS = 300
"""How far from its start a text may say that it is a bounce, if the headers do not."""

_FAILURE = compile_phrases("deliveries", "failures")
_DELAY = compile_phrases("deliveries", "delays")
_DAEMON = re.compile(
    r"^(?:mailer[-_.]?daemon|postmaster|mail[-_.]?daemon|mdaemon|microsoftexchange\w*|maildelivery|mail-?delivery-?\w*"
    r"|mailsystem|mail-?system|bounce-?daemon|smtp-?daemon)(?:[+-][^@]*)?@",
    re.IGNORECASE,
)
_DAEMON_NAME = re.compile(
    r"mailer-?daemon|mail (?:delivery|administrator|system)|postmaster|system ?administrator|delivery (?:sub)?system"
    r"|microsoft outlook|maildelivery",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^\W*(?:hi\. this is the \S{0,30}mail\S{0,30} program|this is the (?:mail (?:system|delivery)|postfix)"
    r"|this message was created automatically by (?:the )?mail (?:delivery|system)"
    r"|delivery has failed to these recipients"
    r"|your message did not reach some or all of the intended|sorry, we were unable to deliver your message"
    r"|\*\* (?:address not found|message not delivered|message blocked)|delivery to the following recipients? failed"
    r"|this is an automatically generated delivery status notification|the original message was received at"
    r"|your message (?:could not|couldn't|wasn't|was not) (?:be )?delivered|this report relates to a message you sent"
    r"|a message that you sent could not be delivered)",
    re.IGNORECASE,
)
# The marks are taken at once, because they could be shared between two repetitions in many ways.
_COPY = re.compile(
    r"^[ \t>*-]*+(?:(?<=--- )below this line is a copy|this is a copy of (?:the|your) message|original message"
    r"|undelivered message follows|message header follows|returned message"
    r"|(?:(?<=-)|(?<=- ))(?:the )?header of the original message|return-path:|received: )",
    re.IGNORECASE | re.MULTILINE,
)
_FINAL = re.compile(
    r"permanent (?:fatal |non-fatal )?error|given up|giving up|has failed|failed permanently|permanently failed"
    r"|will not (?:be retried|retry)",
    re.IGNORECASE,
)
_CODE = re.compile(r"\b[45]\d\d[ :-]|(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?!\.?\d)", re.ASCII)
_ADDRESS_LINE = re.compile(r"[\w.+%'=/-]{1,64}@(?:[\w-]{1,63}\.){1,10}\w{2,63}")
_ID_LINE = re.compile(
    r"^[ \t>]{0,20}(?:x-salesmatter-draft|message-id)[ \t]*:[ \t]*(\S{1,300})", re.IGNORECASE | re.MULTILINE
)


def read_text_bounce(headers: RawHeaders, text: str) -> Report | None:
    """Return the bounce or delay that a text reports, or None if its sender and words do not show one."""
    text = text[:MAX_BOUNCE_CHARACTERS]
    failed = [
        address for name, value in headers if name.lower() == "x-failed-recipients" for address in find_addresses(value)
    ]
    copy = _COPY.search(text)
    own = text[: copy.start()] if copy else text
    own = "\n".join(line for line in own.split("\n") if not line.lstrip().startswith(">"))
    if not (failed or _is_bounce(headers, own)):
        return None
    is_delay = _DELAY.search(own) is not None and _FINAL.search(own) is None
    action = "delayed" if is_delay else "failed"
    recipients = _read_recipients(own, action)
    if failed:
        known = {address: recipient for recipient in recipients for address in recipient.addresses}
        whole = _recipient((), action, own)
        recipients = [
            known.get(address) or ReportedRecipient((address,), action, whole.status, whole.detail)
            for address in failed
        ]
    ids = tuple(dict.fromkeys(match[1] for match in _ID_LINE.finditer(text)))[:MAX_MESSAGE_IDS]
    kind = ReportKind.DELAY if is_delay else ReportKind.BOUNCE
    return Report(kind, tuple(recipients[:MAX_RECIPIENTS]) or (_recipient((), action, own),), ids)


def is_daemon(headers: RawHeaders) -> bool:
    """Return whether a message comes from a mail system: by its sender's address or name."""
    for name, value in headers:
        if name.lower() == "from":
            sender = find_sender(value)
            if sender is None:
                return _DAEMON_NAME.search(value) is not None
            return bool(_DAEMON.match(sender.address) or _DAEMON_NAME.search(sender.name))
    return False


def _is_bounce(headers: RawHeaders, text: str) -> bool:
    """Return whether a text is a bounce: its words alone are not enough, because a person may write them too."""
    has_code = _CODE.search(text) is not None
    if has_code and _OPENING.match(text[:MAX_OPENING_CHARACTERS].lstrip()):
        return True
    says_failure = bool(_FAILURE.search(text) or _DELAY.search(text))
    if is_daemon(headers):
        return has_code or (says_failure and _ADDRESS_LINE.search(text) is not None)
    # The null sender is that of other automatic messages too.
    has_null_sender = any(name.lower() == "return-path" and value.strip() == "<>" for name, value in headers)
    return has_null_sender and says_failure and has_code


def _read_recipients(text: str, action: str) -> list[ReportedRecipient]:
    """Return the addresses that a text names, each with the words from there to the next address."""
    matches = list(_ADDRESS_LINE.finditer(text))[: 4 * MAX_RECIPIENTS]
    details: dict[str, str] = {}
    for index, match in enumerate(matches):
        end = matches[index + 1].start() if index + 1 < len(matches) else len(text)
        for address in find_addresses(match[0]):
            details[address] = f"{details.get(address, '')} {text[match.end() : end]}"
    if len(details) == 1:
        details = dict.fromkeys(details, text)
    return [_recipient((address,), action, detail) for address, detail in details.items()]


def _recipient(addresses: tuple[str, ...], action: str, detail: str) -> ReportedRecipient:
    status = STATUS.search(detail)
    start = max(status.start() - MAX_DETAIL_CHARACTERS // 2, 0) if status else 0
    words = " ".join(detail[start : start + 2 * MAX_DETAIL_CHARACTERS].split())
    return ReportedRecipient(addresses, action, status[1] if status else "", words[:MAX_DETAIL_CHARACTERS])
