import random

import pytest

from api.http.errors import Malformed
from api.inbox.inbound.message import MAX_ID_CHARACTERS, read_message
from domain.suppression import MAX_ADDRESS_CHARACTERS
from email_text.bodies import MAX_TEXT_CHARACTERS

SOUND = (
    b"From: =?utf-8?q?Thand=C3=AD?= <Thandi@lead.example>\r\nTo: ann@acme.example\r\n"
    b"Subject: =?utf-8?b?UmU6IE9uZQ==?=\r\n"
    b"Message-ID: <x@lead.example>\r\nIn-Reply-To: <018f0000-0000-7000-8000-000000000001@acme>\r\n"
    b"References: <018f0000-0000-7000-8000-000000000002@acme> <018f0000-0000-7000-8000-000000000001@acme>\r\n"
    b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<style>p {}</style><p>Yes <b>please</b></p>\r\n"
    b"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Gr=FC=DFe\r\n--b--\r\n"
)
BREAKS = (
    *(b"<", b">", b"@", b";", b"=", b'"', b"(", b")", b"[", b"]", b",", b":", b"\\", b"*", b"%", b"''"),
    *(b"\r\n", b"\r\n ", b"=?", b"?=", b"=?utf-8?b?", b"=?\xff?q?", b"charset=", b"charset=x\x00", b"boundary="),
    *(b"\x00", b"\xff", b"multipart/mixed", b"message/rfc822", b"\xed\xa0\x80"),
)


def test_a_sound_message() -> None:
    """Sender, subject, text and the answered mails, the latest first, are decoded."""
    read = read_message(SOUND)
    assert (read.from_email, read.subject, read.text.strip()) == ("thandi@lead.example", "Re: One", "Grüße")
    assert read.message_id == "<x@lead.example>"
    assert [str(one)[-1] for one in read.answered_ids] == ["1", "2"]
    assert ("Subject", "Re: One") in read.headers


def test_html_alone() -> None:
    """Without plain text, the visible text of the HTML is read."""
    html = b"<html><style>a { b: c }</style><p>Please&nbsp;call</p><script>if (1 < 2) { x }</script> me"
    read = read_message(b"From: a@b.example\r\nContent-Type: text/html\r\n\r\n" + html)
    assert read.text.split() == ["Please", "call", "me"]


def test_attachments_are_no_text() -> None:
    """An attached text file or message is not part of the text."""
    parts = b'--b\r\nContent-Disposition: Attachment; filename="x"\r\n\r\nfile\r\n'
    parts += b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: old\r\n\r\nold\r\n--b\r\n\r\nnew\r\n--b--\r\n"
    read = read_message(b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + parts)
    assert read.text.strip() == "new"


@pytest.mark.parametrize("seed", range(20))
def test_malformed_messages(seed: int) -> None:
    """A malformed message is read as text that can be stored, or rejected; no other error is raised."""
    chance = random.Random(seed)
    refused = 0
    for _ in range(200):
        raw = bytearray(SOUND)
        for _ in range(chance.randint(1, 12)):
            at, how = chance.randrange(len(raw)), chance.random()
            if how < 0.5:
                raw[at:at] = chance.choice(BREAKS)
            elif how < 0.75:
                del raw[at : at + chance.randint(1, 20)]
            else:
                raw[at] = chance.randrange(256)
        try:
            read = read_message(bytes(raw))
        except Malformed:
            refused += 1
            continue
        kept = "".join([read.message_id, read.from_email, read.subject, read.text, *map("".join, read.headers)])
        assert "\x00" not in kept.encode().decode()
        assert 0 < len(read.message_id) <= MAX_ID_CHARACTERS
        assert "@" in read.from_email
        assert len(read.from_email) <= MAX_ADDRESS_CHARACTERS
    assert refused < 100


HUGE = 3_000_000


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Content-Type: text/html", b"<" * HUGE),
        (b"Content-Type: text/html", b"<style" * (HUGE // 6)),
        (b"Content-Type: text/html", b"<script>" * (HUGE // 8)),
        (b"Content-Type: text/plain", b"x" * HUGE),
        (b"References: " + b"<a@b> " * (HUGE // 6), b""),
        (b"Subject: " + b"=?utf-8?q?a?= " * (HUGE // 14), b""),
        (b"Message-ID: <" + b"x" * HUGE + b">", b""),
    ],
)
def test_huge_messages(headers: bytes, body: bytes) -> None:
    """A hostile message is read in bounded time and memory, and its fields are cut to their limits."""
    read = read_message(b"From: a@b.example\r\n" + headers + b"\r\n\r\n" + body)
    assert len(read.text) <= MAX_TEXT_CHARACTERS
    assert len(read.message_id) + len(read.subject) + sum(len(value) for _, value in read.headers) < 50_000


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00" * 1000,
        b"Subject: no sender\r\n\r\nx",
        b"From: no address\r\n\r\nx",
        b"From: " + b"x" * 400 + b"@lead.example\r\n\r\nx",
    ],
)
def test_a_message_without_a_sender_is_rejected(raw: bytes) -> None:
    """A message without a sender is rejected."""
    with pytest.raises(Malformed, match="no From address"):
        read_message(raw)


def test_how_deep_messages_may_nest() -> None:
    """A message that nests 100 levels deep is read; one with 101 levels is rejected, with the limit."""
    begin, level = b"From: a@b.example\r\nSubject: outermost\r\n", b"Content-Type: message/rfc822\r\n\r\n"
    assert read_message(begin + level * 99 + b"\r\nx").subject == "outermost"
    for deeper in (100, 5000):
        with pytest.raises(Malformed, match=r"^The message nests deeper than 100 levels\.$"):
            read_message(begin + level * deeper + b"\r\nx")


@pytest.mark.parametrize("begin", ["(", "x:", '"', "<", '"\\'])
def test_a_sender_behind_many_marks(begin: str) -> None:
    """A From address after thousands of comments, groups, quotes or brackets that nothing closes is found."""
    for count in (1, 50, 4000):
        assert read_message(f"From: {begin * count} a@b.example\r\n\r\nx".encode()).from_email == "a@b.example"


@pytest.mark.parametrize(
    "sender",
    [
        "ann@lead.example <ann@lead.example>",
        "Lee, Ann <ann@lead.example>",
        "ann@lead.example (Ann",
        "<ann@lead.example",
        "ann@lead.example, bob@lead.example",
    ],
)
def test_an_invalid_but_common_sender(sender: str) -> None:
    """A From that violates RFC 5322 in a common way has the same sender on every Python version."""
    assert read_message(f"From: {sender}\r\n\r\nx".encode()).from_email == "ann@lead.example"
