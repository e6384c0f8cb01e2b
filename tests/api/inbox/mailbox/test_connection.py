import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date

import pytest

from api.inbox.mailbox.connection import Account, Limits, MailboxFault, MailboxRefused
from api.inbox.mailbox.imap import open_folder
from database.models import MailboxSecurity
from tests.api.inbox.mailbox.dovecot import PASSWORD, PROGRAM, Dovecot, serving
from tests.optional_programs import skip_reason

pytestmark = pytest.mark.anyio

HURRIED = Limits(connect_seconds=0.2, silence_seconds=0.2, answer_seconds=0.5)
LONG_AGO = date(2020, 1, 1)

Script = dict[bytes, list[bytes]]
LOGGED_IN: Script = {b"CAPABILITY": [b"* CAPABILITY IMAP4rev1"], b"LOGIN": []}
OPEN: Script = {**LOGGED_IN, b"EXAMINE": [b"* 2 EXISTS", b"* OK [UIDVALIDITY 7]", b"* OK [UIDNEXT 3]"]}


def account(server: Dovecot | int, **fields: object) -> Account:
    """Return who reads an INBOX there."""
    port = server if isinstance(server, int) else server.port
    usual = {"security": MailboxSecurity.NONE, "username": "ann", "password": PASSWORD, "folder": "INBOX"}
    return Account("127.0.0.1", **{"port": port, **usual, **fields})  # type: ignore[arg-type]


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve connections in some way, and yield the port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def speaking(script: Script) -> AsyncIterator[int]:
    """Serve what a script has for each command, and say nothing to one that it does not have."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := await reader.readline():
            tag, command = line.split()[:2]
            command = line.split()[2] if command == b"UID" else command
            answer = script.get(command)
            if answer is not None:
                writer.write(b"".join(one + b"\r\n" for one in answer) + tag + b" OK done\r\n")
        writer.close()

    async with listening(serve) as port:
        yield port


async def read(reader: Account, limits: Limits = HURRIED, after: int = 0) -> list[int]:
    """Read a folder to its end and return the numbers of its messages."""
    uids: list[int] = []
    async with open_folder(reader, limits) as folder:
        async for batch in folder.batches(after, LONG_AGO):
            uids += [arrival.uid for arrival in batch.arrivals]
    return uids


@pytest.mark.parametrize(
    "script",
    [
        {},
        LOGGED_IN,
        OPEN,
        {**OPEN, b"SEARCH": [b"* SEARCH 1 2"]},
        {**OPEN, b"SEARCH": [b"* SEARCH 1"], b"FETCH": [b"* 1 FETCH (UID 1 RFC822.SIZE 9 BODY[]<0> {100}", b"x"]},
    ],
)
async def test_a_server_that_hangs(script: Script) -> None:
    """Wherever a server stops talking, in the midst of a message too, reading ends with a fault within its time."""
    async with speaking(script) as port:
        with pytest.raises(MailboxFault):
            await asyncio.wait_for(read(account(port)), 10)


@pytest.mark.parametrize("security", [MailboxSecurity.NONE, MailboxSecurity.TLS])
async def test_a_server_that_trickles(security: MailboxSecurity) -> None:
    """A server that goes on talking without ever saying anything is cut off after a time, from its greeting on."""
    ended = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                writer.write(b"\x16\x03\x03" if security is MailboxSecurity.TLS else b"*")
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            pass
        finally:
            ended.set()
            writer.close()

    async with listening(serve) as port:
        with pytest.raises(MailboxFault):
            await asyncio.wait_for(read(account(port, security=security)), 10)
        await asyncio.wait_for(ended.wait(), 10)


async def test_whoever_gives_up_leaves_nothing_behind() -> None:
    """A poll that is cancelled while it waits ends at once, and so does its connection."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        gone.set()
        writer.close()

    async with listening(serve) as port:
        reading = asyncio.create_task(read(account(port), Limits()))
        await asyncio.wait({reading}, timeout=0.1)
        started = time.monotonic()
        reading.cancel()
        await asyncio.wait({reading})
        await asyncio.wait_for(gone.wait(), 10)
        assert reading.cancelled()
        assert time.monotonic() - started < Limits().silence_seconds


async def test_one_answer_that_cannot_be_read() -> None:
    """An answer that is no IMAP keeps no other message back; what the server does not hand out is told."""
    sizes = b"* 1 FETCH (UID 1 RFC822.SIZE 9)", b"* 2 FETCH (UID 2 RFC822.SIZE 9)"
    broken = {**OPEN, b"SEARCH": [b"* SEARCH 1 2"], b"FETCH": list(sizes)}
    async with speaking(broken) as port, open_folder(account(port), HURRIED) as folder:
        found = [one async for batch in folder.batches(0, LONG_AGO) for one in batch.arrivals]
    assert [(one.uid, one.raw) for one in found] == [(1, None), (2, None)]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"NO [AUTHENTICATIONFAILED] no", MailboxRefused),
        (b"NO [UNAVAILABLE] later", MailboxFault),
        (b"NO [LIMIT] too many connections", MailboxFault),
        (b"NO [ALERT] Too many simultaneous connections", MailboxFault),
        (b"BAD what", MailboxRefused),
        (None, MailboxFault),
    ],
)
async def test_a_no_that_will_pass(answer: bytes | None, kind: type[Exception]) -> None:
    """A login that the server refuses for now, or breaks off, is no refusal of the credentials."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := await reader.readline():
            tag, command = line.split()[:2]
            if command == b"LOGIN":
                if answer is not None:
                    writer.write(tag + b" " + answer + b"\r\n")
                    continue
                break
            writer.write(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n")
        writer.close()

    async with listening(serve) as port:
        with pytest.raises(kind) as raised:
            await read(account(port))
    assert type(raised.value) is kind
    assert PASSWORD not in str(raised.value)


@pytest.fixture(scope="module")
def untrusted() -> object:
    """A server whose certificate nobody vouches for."""
    if PROGRAM is None:
        pytest.skip(skip_reason("dovecot"))
    with serving(ssl=True) as running:
        yield running


@pytest.mark.parametrize("security", [MailboxSecurity.TLS, MailboxSecurity.STARTTLS])
async def test_a_certificate_that_proves_nothing(untrusted: Dovecot, security: MailboxSecurity) -> None:
    """The password is not told to a server that cannot prove who it is."""
    port = untrusted.tls_port if security is MailboxSecurity.TLS else untrusted.port
    with pytest.raises(MailboxFault, match="certificate cannot be trusted"):
        await read(account(port, security=security), Limits())
    assert "Login:" not in (untrusted.home / "log").read_text(encoding="utf-8")


async def test_batches_and_windows(dovecot: Dovecot) -> None:
    """However small the bites, each message is read once and in order; from its last number on nothing is."""
    dovecot.deliver("bites", *(b"From: a@b.example\r\n\r\n" + b"x" * index for index in range(23)))
    reader = account(dovecot, username="bites")
    for limits in (Limits(window=1), Limits(window=7), Limits(batch_messages=2), Limits(batch_bytes=1), Limits()):
        assert await read(reader, limits) == list(range(1, 24)), limits
        assert await read(reader, limits, after=20) == [21, 22, 23]
        assert await read(reader, limits, after=23) == []


async def test_only_the_beginning_is_read(dovecot: Dovecot) -> None:
    """Of each message no more comes over the line than is read."""
    dovecot.deliver("long", b"From: a@b.example\r\n\r\n" + b"x" * 10_000)
    async with open_folder(account(dovecot, username="long"), Limits(message_bytes=100)) as folder:
        found = [one async for batch in folder.batches(0, LONG_AGO) for one in batch.arrivals]
    assert [len(one.raw or b"") for one in found] == [100]
