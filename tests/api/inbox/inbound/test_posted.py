import base64
import json
from typing import Any

import pytest

from api.http.errors import Malformed
from api.inbox.inbound.message import InboundMessage, read_message
from api.inbox.inbound.posted import detect_kind, read_posted
from domain.reply_address import build_reply_address
from tests.api.inbox.inbound.test_message import SOUND

ANSWERED = "018f0000-0000-7000-8000-000000000001"
OURS = {
    "from": "Thandi <Thandi@lead.example>",
    "to": ["ann@acme.example"],
    "subject": "Re: One",
    "text": "Yes please",
    "messageId": "<x@lead.example>",
    "inReplyTo": f"<{ANSWERED}@acme>",
    "references": ["<a@acme>", f"<{ANSWERED}@acme>"],
    "date": "Mon, 23 Nov 2026 10:00:00 +0200",
}
POSTMARK = {
    "FromName": "Thandi",
    "From": "thandi@lead.example",
    "FromFull": {"Email": "thandi@lead.example", "Name": "Thandi", "MailboxHash": ""},
    "ToFull": [{"Email": "ann@acme.example", "Name": ""}],
    "OriginalRecipient": "ann@acme.example",
    "Subject": "Re: One",
    "MessageID": "22c74902-a0c1-4511-804f-341342852c90",
    "Date": "Mon, 23 Nov 2026 10:00:00 +0200",
    "TextBody": "Yes please",
    "HtmlBody": "<p>Yes please</p>",
    "StrippedTextReply": "",
    "Headers": [
        {"Name": "Message-ID", "Value": "<x@lead.example>"},
        {"Name": "In-Reply-To", "Value": f"<{ANSWERED}@acme>"},
    ],
    "Attachments": [],
}
BY_FORM = {
    "sender": "thandi@lead.example",
    "recipient": "ann@acme.example",
    "subject": "Re: One",
    "body-plain": "Yes please",
    "stripped-text": "Yes",
    "message-headers": json.dumps([["Message-Id", "<x@lead.example>"], ["In-Reply-To", f"<{ANSWERED}@acme>"]]),
}
BY_LINES = {
    "from": {"address": "thandi@lead.example", "name": "Thandi, Ms"},
    "headers": f"Message-ID: <x@lead.example>\nSubject: Re:\n One\nIn-Reply-To:\n <{ANSWERED}@acme>\n",
    "html": "<p>Yes please</p><blockquote>One</blockquote>",
}
BY_OBJECT = {
    "HEADERS": {"from": "thandi@lead.example", "Message-Id": "<x@lead.example>", "in-reply-to": [f"<{ANSWERED}@acme>"]},
    "Subject": "=?utf-8?b?UmU6IE9uZQ==?=",
    "text": " ",
    "html": "Yes please",
}


def posted(body: object) -> InboundMessage:
    """Return the message in a JSON body."""
    return read_posted(json.dumps(body).encode(), "json")


@pytest.mark.parametrize("body", [OURS, POSTMARK, BY_FORM, BY_LINES, BY_OBJECT])
def test_field_names_of_many_services(body: dict[str, Any]) -> None:
    """The same message is read from the field names and formats of each service."""
    read = posted(body)
    assert (read.message_id, read.from_email, read.subject) == ("<x@lead.example>", "thandi@lead.example", "Re: One")
    assert read.text.split("\n")[0] == "Yes please"
    assert [str(one) for one in read.answered_ids] == [ANSWERED]


@pytest.mark.parametrize("name", ["raw", "RawEmail", "body-mime", "mime"])
@pytest.mark.parametrize(
    "encode", [bytes.decode, lambda raw: base64.b64encode(raw).decode(), lambda raw: base64.encodebytes(raw).decode()]
)
def test_a_raw_message_in_json(name: str, encode: Any) -> None:
    """A raw message in JSON, as text or in Base64, is read like one without JSON."""
    raw = SOUND.replace(b"Gr=FC=DFe", b"Yes")
    assert posted({name: encode(raw)}) == read_message(raw)


def test_a_message_without_an_id() -> None:
    """It gets the same id from each channel, however it is folded and padded; a different message gets another id."""
    body = {"from": "T <thandi@lead.example>", "subject": "Re: One", "text": "Yes\n\nplease ", "date": OURS["date"]}
    raw = (
        b"From: thandi@LEAD.example\r\nDate: Mon, 23 Nov 2026 08:00:00 GMT\r\nSubject: Re:\r\n One\r\n"
        b"Received: by x\r\n\r\nYes\r\n\r\nplease\r\n"
    )
    known = posted(body).message_id
    assert read_message(raw).message_id == known
    assert posted({**body, "MessageID": "22c74902-a0c1-4511-804f-341342852c90"}).message_id == known
    for other in ({"text": "No"}, {"subject": "x"}, {"from": "x@lead.example"}, {"date": "yesterday"}):
        assert posted({**body, **other}).message_id != known


def test_an_id_without_brackets() -> None:
    """An id with and without brackets is the same."""
    for written in ("x@lead.example", " x@lead.example ", "<x@lead.example>", " <x@lead.example> "):
        assert posted({**OURS, "messageId": written}).message_id == "<x@lead.example>", written


@pytest.mark.parametrize("name", ["to", "Cc", "OriginalRecipient", "recipient"])
def test_a_reply_address_among_the_recipients(name: str) -> None:
    """The answered mail is found by the reply address, in each field that services use for recipients."""
    address = build_reply_address("replies@acme.example", read_message(SOUND).answered_ids[0])
    read = posted({"from": "x@lead.example", name: f"x@y.example, Replies <{address}>"})
    assert [str(one) for one in read.answered_ids] == [ANSWERED]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b"\xff", "body: is not valid UTF-8 at byte 0"),
        (b'{"from": ' + b"[" * 64 + b"]" * 64 + b"}", "The request body nests deeper than 64 levels."),
        (b"[" * 100_000, "The request body nests deeper than 64 levels."),
        (b"1" * 601, "The request body contains a number longer than 600 characters."),
        (b"[]", "body: must be an object"),
        (b"{}", "body.from: is missing"),
        (b'{"from": "", "text": "x"}', "body.from: is missing"),
        (b'{"from": "no address"}', "no From address"),
        (b'{"from": {"name": "x"}}', "body.From: must be a string, or an object with an email"),
        (b'{"from": [["a@b.example"]]}', "body.From: must be a string"),
        (b'{"from": "a@b.example", "text": 5}', "body.text: must be a string"),
        (b'{"raw": ["x"]}', "body.raw: must be a string"),
        (b'{"raw": "%%%"}', "body.raw: is neither"),
        (b'{"raw": "Subject: no sender\\n\\nx"}', "no From address"),
    ],
)
def test_invalid_bodies(body: bytes, says: str) -> None:
    """The error names the wrong field and what is wrong with it."""
    with pytest.raises(Malformed) as refused:
        read_posted(body, "json")
    assert says in refused.value.detail


@pytest.mark.parametrize(
    "extra",
    [
        {"headers": 5},
        {"headers": [5, [1, 2], ["x"], {"name": 5}, {}]},
        {"headers": "{"},
        {"headers": "[" * 65 + "]" * 65},
        {"x": 10**599},
        {"x": json.loads("[" * 63 + "]" * 63)},
        {"headers": {"x": None}},
        {"to": None, "cc": [], "html": None},
        {"subject": "\x00\ud800", "text": "\x00\ud800"},
        {"date": 1_795_400_000, "inReplyTo": 5},
        {"subject": "x" * 1_000_000, "references": ["<a@b>"] * 100_000},
    ],
)
def test_unusual_values_beside_the_sender(extra: dict[str, Any]) -> None:
    """A message with a sender is read as text that can be stored, whatever its other fields contain."""
    read = posted({"from": "a@b.example", **extra})
    assert read.from_email == "a@b.example"
    stored = "".join([read.message_id, read.subject, read.text, *map("".join, read.headers)])
    assert "\x00" not in stored
    assert len(stored.encode()) < 50_000


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("", "message"),
        ("message/rfc822", "message"),
        ("text/plain; charset=utf-8", "message"),
        ("application/octet-stream", "message"),
        ("Application/JSON; charset=utf-8", "json"),
        ("application/vnd.mail+json", "json"),
    ],
)
def test_the_kind_of_a_body(content_type: str, kind: str) -> None:
    """A body is JSON if its content type says so, and else a message."""
    assert detect_kind(content_type) == kind


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_forms(content_type: str) -> None:
    """A form is rejected with a sentence that says what to post instead."""
    with pytest.raises(Malformed, match="Forms are not supported"):
        detect_kind(content_type)
