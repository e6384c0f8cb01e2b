"""A connection to an IMAP server: every question ends within its time, and every error is a sentence.

The library waits, so each connection has one thread of its own; one that does not answer in time is cut, which ends
what the thread waits for.
"""

import asyncio
import contextlib
import imaplib
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Any, TypeVar

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import CapabilityError, LoginError, ProtocolError

from database.models import MailboxSecurity

T = TypeVar("T")

_PASSING = re.compile(r"\[(?:UNAVAILABLE|SERVERBUG|LIMIT|INUSE|THROTTLED)\b|too many", re.IGNORECASE)
"""What servers say (RFC 5530) when it is not the credentials that are wrong."""
MOST_SAID = 300


class MailboxFault(Exception):
    """The server cannot be asked now; it may be later."""


class MailboxRefused(Exception):
    """The server does not let these credentials in, or has no such folder; it will not later either."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a server is waited for (seconds), and how much is asked of it at once."""

    connect_seconds: float = 10.0
    silence_seconds: float = 30.0
    answer_seconds: float = 120.0
    """For one question, however busily the server talks."""
    message_bytes: int = 5 * 1024 * 1024
    """How much of a message is read: its words stand at the beginning, what is attached is not needed."""
    batch_bytes: int = 20 * 1024 * 1024
    batch_messages: int = 50
    window: int = 50_000
    """How many numbers are searched at once: the answer is one line, and its length has a limit."""


USUAL = Limits()


@dataclass(frozen=True, slots=True)
class Account:
    """Where a folder is, and who may read it."""

    host: str
    port: int
    security: MailboxSecurity
    username: str
    password: str = field(repr=False)
    folder: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it lies in the folder; `raw` is None where the server does not hand it out."""

    uid: int
    raw: bytes | None
    arrived_at: datetime | None


class Connection:
    """The library's client in its thread, and the means to end what it waits for."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="imap")
        self._sockets: list[socket.socket] = []
        self._is_cut = False
        self._client: Any = None

    async def ask(self, question: Callable[[], T]) -> T:
        """Ask in the thread; raises MailboxFault when the answer takes too long, and what the question raises."""
        asked = asyncio.get_running_loop().run_in_executor(self._thread, question)
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                return await asked
        except TimeoutError as error:
            raise MailboxFault(f"It did not answer within {self._limits.answer_seconds:g} seconds.") from error

    def cut(self) -> None:
        """End the connection, whatever is under way on it, and the thread with it."""
        if self._is_cut:
            return
        self._is_cut = True
        for one in self._sockets:
            _end(one)
        self._thread.submit(self._release)
        self._thread.shutdown(wait=False)

    def open(self, account: Account) -> tuple[int, int]:
        """Return how the folder's numbers are counted (UIDVALIDITY), and which number comes next."""
        with _told():
            self._client = _Client(account, self._limits, self._keep)
            if account.security is MailboxSecurity.STARTTLS:
                with _refused("The server offers no STARTTLS", CapabilityError):
                    self._client.starttls(ssl.create_default_context())
            with _refused("The server refuses the user name or the password", LoginError):
                if account.password.isascii() and account.username.isascii():
                    self._client.login(account.username, account.password)
                else:
                    self._client.plain_login(account.username, account.password)
            with _refused(f"The server does not open the folder '{account.folder}'", imaplib.IMAP4.error):
                selected = self._client.select_folder(account.folder, readonly=True)
            uid_next = selected.get(b"UIDNEXT")
            if uid_next is None:
                uid_next = max(self._client.search("UID *"), default=0) + 1
            return int(selected.get(b"UIDVALIDITY", 0)), int(uid_next)

    def sizes(self, first: int, last: int, since: date) -> list[tuple[int, int]]:
        """Return number and bytes of what arrived on a day or later, by number."""
        with _told():
            uids = sorted(self._client.search(["UID", f"{first}:{last}", "SINCE", since]))
            wanted = [uid for uid in uids if first <= uid <= last]
            sizes: dict[int, int] = {}
            pending = iter(wanted)
            while some := list(islice(pending, 1000)):
                answer = self._client.fetch(some, ["RFC822.SIZE"])
                sizes |= {uid: int(told.get(b"RFC822.SIZE") or 0) for uid, told in answer.items()}
            # What was expunged meanwhile is not told of.
            return [(uid, sizes[uid]) for uid in wanted if uid in sizes]

    def fetch(self, uids: Sequence[int]) -> list[Arrival]:
        """Return messages, without a mark that they were read; those that are gone are left out."""
        body = f"BODY.PEEK[]<0.{self._limits.message_bytes}>"
        try:
            with _told():
                answer = self._client.fetch(uids, ["INTERNALDATE", body])
        except _Unreadable:
            if len(uids) == 1:
                return [Arrival(uids[0], None, None)]
            # One answer that cannot be read must not keep the others back.
            return [arrival for uid in uids for arrival in self.fetch([uid])]
        return [_arrival(uid, answer[uid]) for uid in sorted(answer)]

    def _keep(self, connected: socket.socket) -> None:
        """Take a handle of the connection, to cut it by; in the thread."""
        self._sockets.append(connected)
        if self._is_cut:
            _end(connected)

    def _release(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                self._client.shutdown()

    def log_out(self) -> None:
        """Say goodbye."""
        with _told():
            self._client.logout()


def _end(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
    connected.close()


def _arrival(uid: int, told: dict[bytes, Any]) -> Arrival:
    raw, arrived_at = told.get(b"BODY[]<0>"), told.get(b"INTERNALDATE")
    return Arrival(
        uid, raw if isinstance(raw, bytes) else None, arrived_at if isinstance(arrived_at, datetime) else None
    )


class _Unreadable(MailboxFault):
    """The server's answer is not what IMAP says it looks like."""


@contextmanager
def _told() -> Iterator[None]:
    """Let what a connection may raise be MailboxFault with a sentence."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise MailboxFault(f"The server's certificate cannot be trusted: {error.verify_message}.") from error
    except TimeoutError as error:
        raise MailboxFault("The connection timed out.") from error
    except imaplib.IMAP4.abort as error:
        raise MailboxFault(f"The connection was lost: {_said(error)}") from error
    except ProtocolError as error:
        raise _Unreadable(f"The server's answer cannot be read: {_said(error)}") from error
    except imaplib.IMAP4.error as error:
        raise MailboxFault(f"The server refused the request: {_said(error)}") from error
    except (OSError, ValueError) as error:
        raise MailboxFault(f"The server cannot be reached: {_said(error)}") from error


@contextmanager
def _refused(sentence: str, kind: type[Exception]) -> Iterator[None]:
    """Let a no of the server be MailboxRefused, unless it is a broken connection or says that it will pass."""
    try:
        yield
    except kind as error:
        # The library tells a connection that breaks off while logging in as a failed login.
        if isinstance(error, imaplib.IMAP4.abort) or isinstance(error.__context__, imaplib.IMAP4.abort | OSError):
            raise MailboxFault(f"The connection was lost: {_said(error)}") from error
        if _PASSING.search(str(error)):
            raise MailboxFault(f"The server refused the request for now: {_said(error)}") from error
        raise MailboxRefused(f"{sentence}: {_said(error)}") from error


def _said(error: Exception) -> str:
    # The library shows a server's bytes as Python writes them.
    said = re.sub(r"\bb(['\"])(.*?)\1", r"\2", " ".join(str(error).split()))
    return (said or type(error).__name__)[:MOST_SAID]


class _Client(IMAPClient):  # type: ignore[misc] # it ships no types
    """The library's client, whose socket may be cut from its first moment on."""

    def __init__(self, account: Account, limits: Limits, keep: Callable[[socket.socket], None]) -> None:
        self._keep = keep
        super().__init__(
            account.host,
            account.port,
            ssl=account.security is MailboxSecurity.TLS,
            timeout=SocketTimeout(limits.connect_seconds, limits.silence_seconds),
        )
        # As the server says, with its zone.
        self.normalise_times = False

    def _create_IMAP4(self) -> imaplib.IMAP4:  # noqa: N802 - the library's own name
        context = ssl.create_default_context() if self.ssl else None
        return _Protocol(self.host, self.port, self._timeout.connect, context, self._keep)


class _Protocol(imaplib.IMAP4):
    """The standard library's protocol over a connection that somebody else can cut."""

    def __init__(
        self,
        host: str,
        port: int,
        seconds: float,
        context: ssl.SSLContext | None,
        keep: Callable[[socket.socket], None],
    ) -> None:
        self._context, self._keep = context, keep
        super().__init__(host, port, timeout=seconds)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), timeout)
        # A second handle: TLS takes the first one over.
        self._keep(plain.dup())
        return self._context.wrap_socket(plain, server_hostname=self.host) if self._context else plain
