import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date

import pytest

from api.inbox.mailbox.connection import Account, Limits, MailboxRefused, MailboxUnavailable
from api.inbox.mailbox.imap import open_folder
from database.models import MailboxSecurity
from egress.addresses import LOOPBACK
from egress.policy import EgressPolicy
from tests.api.inbox.mailbox.dovecot import PASSWORD, PROGRAM, Dovecot, serving
from tests.optional_programs import skip_reason

pytestmark = pytest.mark.anyio

SHORT_LIMITS = Limits(connect_seconds=0.2, read_seconds=0.2, operation_seconds=0.5)
LONG_AGO = date(2020, 1, 1)
LOCAL = EgressPolicy(LOOPBACK)

Script = dict[bytes, list[bytes]]
LOGGED_IN: Script = {b"CAPABILITY": [b"* CAPABILITY IMAP4rev1"], b"LOGIN": []}
OPEN: Script = {**LOGGED_IN, b"EXAMINE": [b"* 2 EXISTS", b"* OK [UIDVALIDITY 7]", b"* OK [UIDNEXT 3]"]}


def account(server: Dovecot | int, **fields: object) -> Account:
    """Return an account with an INBOX on a server."""
    port = server if isinstance(server, int) else server.port
    usual = {"security": MailboxSecurity.NONE, "username": "ann", "password": PASSWORD, "folder": "INBOX"}
    return Account("127.0.0.1", **{"port": port, **usual, **fields})  # type: ignore[arg-type]


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve connections with a function, and yield the port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def speaking(script: Script) -> AsyncIterator[int]:
    """Answer each command by a script, and do not answer other commands."""

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


async def read(reader: Account, limits: Limits = SHORT_LIMITS, after: int = 0) -> list[int]:
    """Read a whole folder, and return the UIDs of its messages."""
    uids: list[int] = []
    async with open_folder(reader, LOCAL, limits) as folder:
        async for batch in folder.read_batches(after, LONG_AGO):
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
    """If a server stops answering at any point, also within a message, reading fails within the time limit."""
    async with speaking(script) as port:
        with pytest.raises(MailboxUnavailable):
            await asyncio.wait_for(read(account(port)), 10)


@pytest.mark.parametrize("security", [MailboxSecurity.NONE, MailboxSecurity.TLS])
async def test_a_server_that_trickles(security: MailboxSecurity) -> None:
    """A connection to a server that sends data without end is closed after the time limit, also during the greeting."""
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
        with pytest.raises(MailboxUnavailable):
            await asyncio.wait_for(read(account(port, security=security)), 10)
        await asyncio.wait_for(ended.wait(), 10)


async def test_a_cancelled_poll_closes_its_connection() -> None:
    """A poll that is cancelled while it waits ends at once and closes its connection."""
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
        assert time.monotonic() - started < Limits().read_seconds


async def test_an_unreadable_answer() -> None:
    """An invalid answer blocks no other message; a message that the server does not return has no content."""
    sizes = b"* 1 FETCH (UID 1 RFC822.SIZE 9)", b"* 2 FETCH (UID 2 RFC822.SIZE 9)"
    broken = {**OPEN, b"SEARCH": [b"* SEARCH 1 2"], b"FETCH": list(sizes)}
    async with speaking(broken) as port, open_folder(account(port), LOCAL, SHORT_LIMITS) as folder:
        found = [one async for batch in folder.read_batches(0, LONG_AGO) for one in batch.arrivals]
    assert [(one.uid, one.raw) for one in found] == [(1, None), (2, None)]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"NO [AUTHENTICATIONFAILED] no", MailboxRefused),
        (b"NO [UNAVAILABLE] later", MailboxUnavailable),
        (b"NO [LIMIT] too many connections", MailboxUnavailable),
        (b"NO [ALERT] Too many simultaneous connections", MailboxUnavailable),
        (b"BAD what", MailboxRefused),
        (None, MailboxUnavailable),
    ],
)
async def test_temporary_and_permanent_refusals(answer: bytes | None, kind: type[Exception]) -> None:
    """A temporary refusal or a lost connection during the login is no refusal of the credentials."""

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
    """Run a server with a self-signed certificate."""
    if PROGRAM is None:
        pytest.skip(skip_reason("dovecot"))
    with serving(ssl=True) as running:
        yield running


@pytest.mark.parametrize("security", [MailboxSecurity.TLS, MailboxSecurity.STARTTLS])
async def test_an_untrusted_certificate(untrusted: Dovecot, security: MailboxSecurity) -> None:
    """The password is not sent to a server with an untrusted certificate."""
    port = untrusted.tls_port if security is MailboxSecurity.TLS else untrusted.port
    with pytest.raises(MailboxUnavailable, match="certificate cannot be trusted"):
        await read(account(port, security=security), Limits())
    assert "Login:" not in (untrusted.home / "log").read_text(encoding="utf-8")


async def test_batches_and_windows(dovecot: Dovecot) -> None:
    """With limits of any size, each message is read once and in order, and none again after the last UID."""
    dovecot.deliver("batches", *(b"From: a@b.example\r\n\r\n" + b"x" * index for index in range(23)))
    reader = account(dovecot, username="batches")
    for limits in (
        Limits(window_uids=1),
        Limits(window_uids=7),
        Limits(batch_messages=2),
        Limits(batch_bytes=1),
        Limits(),
    ):
        assert await read(reader, limits) == list(range(1, 24)), limits
        assert await read(reader, limits, after=20) == [21, 22, 23]
        assert await read(reader, limits, after=23) == []


async def test_messages_are_truncated(dovecot: Dovecot) -> None:
    """Only the limited part of a message is transferred."""
    dovecot.deliver("long", b"From: a@b.example\r\n\r\n" + b"x" * 10_000)
    async with open_folder(account(dovecot, username="long"), LOCAL, Limits(message_bytes=100)) as folder:
        found = [one async for batch in folder.read_batches(0, LONG_AGO) for one in batch.arrivals]
    assert [len(one.raw or b"") for one in found] == [100]
