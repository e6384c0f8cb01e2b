"""Messages: headers, bodies, HTML, reports, quotes, subjects, charsets and dates."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from ai.workflows.intent_classification.date_order import read_sent_at
from ai.workflows.intent_classification.dates import find_return_date
from ai.workflows.intent_classification.headers import detect_origin, find_sender_names
from ai.workflows.intent_classification.rules import classify_personal
from api.http.errors import ApiError
from api.inbox.inbound.message import read_message
from api.inbox.inbound.posted import read_posted
from domain.reply_address import parse_message_ids
from email_text.addresses import find_addresses, find_sender
from email_text.bodies import extract_html_text
from email_text.charsets import decode_text, find_codec, find_declared_charset
from email_text.conversion import to_html, to_text
from email_text.departures import says_closed, says_departed
from email_text.footers import add_html_footer, add_text_footer
from email_text.links import find_disguised_links, find_links, find_visible_links
from email_text.own_text import remove_sent_text
from email_text.quotes import split_reply
from email_text.styles import inline_styles
from email_text.subjects import has_reply_prefix, split_subject
from email_text.text_bounces import read_text_bounce
from email_text.unsubscribe_mails import is_unsubscribe_mail
from tests.growth.growing import PIECES, find_steep, measure_growth

FROM = "From: Ann <ann@lead.example>\r\n"
DAY = datetime(2026, 10, 26, tzinfo=UTC)
MIXED = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
DELIVERY = "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
COMPLAINT = "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n"
PLACES: Sequence[tuple[str, str]] = (
    ("", ""),
    ("\r\n", ""),
    ("Content-Type: text/html\r\n\r\n", ""),
    ("Content-Type: text/plain; format=flowed\r\n\r\n", ""),
    (MIXED, ""),
    (DELIVERY + "Reporting-MTA: dns;a\r\n\r\n", ""),
    (COMPLAINT + "Feedback-Type: abuse\r\n", ""),
)
"""What stands before and after the hostile text in a message."""
HEADERS = (
    *("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "List-Id", "Reply-To", "Received"),
    *("X-Failed-Recipients", "Content-Type", "Content-Disposition", "Content-Transfer-Encoding", "X-Original-From"),
)
TEXTS: Sequence[Callable[[str], object]] = (
    find_addresses,
    find_sender,
    lambda text: split_reply(text, ["ann"], ["Bob"]),
    lambda text: remove_sent_text(text, text),
    lambda text: split_subject(text, text[:100]),
    has_reply_prefix,
    lambda text: read_text_bounce([("From", "mailer-daemon@mx.example"), ("Subject", text)], text),
    lambda text: is_unsubscribe_mail([("Subject", text)], text, text),
    says_departed,
    says_closed,
    lambda text: list(parse_message_ids(text)),
    lambda text: detect_origin([("From", text), ("Subject", text)], text, text),
    lambda text: read_sent_at([("Date", text)], DAY),
)
SLOW_TEXTS: Sequence[Callable[[str], object]] = (
    lambda text: find_return_date(text, DAY.date()),
    lambda text: find_sender_names([("From", text)]),
    lambda text: classify_personal(text, text, DAY.date(), text),
)
"""Readers of a beginning of at most 24,000 characters, for which fewer shapes are tried."""
MARKUP: Sequence[Callable[[str], object]] = (
    extract_html_text,
    to_text,
    to_html,
    lambda text: list(find_visible_links(text)),
    find_links,
    find_disguised_links,
    lambda text: add_html_footer(text, "Firm", "https://u.example/u/x"),
    lambda text: add_text_footer(text, "Firm", "https://u.example/u/x"),
    inline_styles,
    lambda text: inline_styles(f"<html><style>{text}</style><p>a</p></html>"),
)


def _read_message(text: str) -> None:
    with suppress(ApiError):
        read_message((FROM + text).encode("utf-8", "replace"))


def _decode(text: str) -> None:
    raw = text.encode("utf-8", "replace")
    for charset in (None, "iso-2022-jp", "utf-8", "gb18030"):
        decode_text(raw, charset)
    find_declared_charset(raw)
    find_codec(text)


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_a_message_is_read_in_linear_time(place: int) -> None:
    """A message with any shape of text in its headers, its body, its parts or its report takes in proportion."""
    before, after = PLACES[place]
    _read_message("\r\nwarm")
    assert find_steep(lambda text: _read_message(before + text + after)) == []


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_is_read_in_linear_time(header: str) -> None:
    """A header of any shape takes at most in proportion to its length."""
    _read_message("\r\nwarm")
    assert find_steep(lambda text: _read_message(f"{header}: {text}\r\n\r\nHello")) == []


@pytest.mark.parametrize("name", ["X-{}", "X-A", "From", "To", "List-Id", "Content-Type", "Reply-To"])
def test_many_headers_are_read_in_linear_time(name: str) -> None:
    """Many headers, different or equal, take in proportion to their number."""

    def make(length: int) -> str:
        return "".join(f"{name.format(number)}: a{number}@b.example\r\n" for number in range(length // 16))

    assert measure_growth(_read_message, make, length=65_536) is None


@pytest.mark.parametrize("reader", range(len(TEXTS)))
def test_a_text_is_read_in_linear_time(reader: int) -> None:
    """A text or a header value of any shape takes at most in proportion to its length."""
    TEXTS[reader]("warm")
    assert find_steep(TEXTS[reader]) == []


@pytest.mark.parametrize("reader", range(len(SLOW_TEXTS)))
def test_an_answer_is_classified_in_linear_time(reader: int) -> None:
    """The dates, the names and the intent of a text of any shape take at most in proportion to its length."""
    SLOW_TEXTS[reader]("warm")
    assert find_steep(SLOW_TEXTS[reader], pieces=PIECES[::20]) == []


@pytest.mark.parametrize("reader", range(len(MARKUP)))
def test_markup_is_read_in_linear_time(reader: int) -> None:
    """HTML and text with links of any shape take at most in proportion to their length."""
    MARKUP[reader]("<p>warm</p>")
    assert find_steep(MARKUP[reader]) == []


def test_bytes_are_decoded_in_linear_time() -> None:
    """Bytes of any shape in any character set take at most in proportion to their length."""
    _decode("warm")
    assert find_steep(_decode) == []


@pytest.mark.parametrize("field", ["from", "to", "subject", "text", "html", "raw", "headers", "messageId"])
def test_a_posted_field_is_read_in_linear_time(field: str) -> None:
    """A field of a posted message of any shape takes at most in proportion to its length."""

    def read(text: str) -> None:
        with suppress(ApiError):
            read_posted(json.dumps({"from": "ann@lead.example", "text": "Hello", field: text}).encode(), "json")

    read("warm")
    assert find_steep(read) == []
