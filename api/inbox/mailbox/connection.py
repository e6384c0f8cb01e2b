"""A connection to an IMAP server with a time limit for each operation, and sentences as errors.

The library blocks, so each connection has a thread. If an operation takes too long, its sockets are closed, which ends
the blocking call.
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
from egress.errors import EgressError
from egress.policy import EgressPolicy
from egress.sockets import connect

T = TypeVar("T")

_TEMPORARY = re.compile(r"\[(?:UNAVAILABLE|SERVERBUG|LIMIT|INUSE|THROTTLED)\b|too many", re.IGNORECASE)
"""Matches the responses (RFC 5530) of servers that refuse a login although the credentials are right."""
_RESPONSE_CODE = re.compile(
    r"\[(UNAVAILABLE|AUTHENTICATIONFAILED|AUTHORIZATIONFAILED|EXPIRED|PRIVACYREQUIRED|CONTACTADMIN|NOPERM|INUSE|LIMIT|"
    r"OVERQUOTA|NONEXISTENT|SERVERBUG|CLIENTBUG|CANNOT)\]",
    re.IGNORECASE,
)
"""Matches the codes of RFC 5530. Nothing else that a server says is shown: it may be any server of any network."""
MAX_SEARCHED_CHARACTERS = 1000


class MailboxUnavailable(Exception):
    """The server cannot be read now; a later attempt may succeed."""


class MailboxRefused(Exception):
    """The server refuses the credentials or the folder; a later attempt will fail too."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits, and how much is read at once."""

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    """How long the server may send nothing."""
    operation_seconds: float = 120.0
    """How long one operation may take, even if the server sends data all the time."""
    message_bytes: int = 5 * 1024 * 1024
    """How much of a message is read: the text is at the beginning, and attachments are not needed."""
    batch_bytes: int = 20 * 1024 * 1024
    operation_bytes: int = 64 * 1024 * 1024
    """How much one operation reads from the server, whatever the server sends."""
    batch_messages: int = 50
    window_uids: int = 50_000
    """How many UIDs are searched at once: the result is one line, whose length is limited."""


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Account:
    """The address of a folder, and the credentials for it."""

    host: str
    port: int
    security: MailboxSecurity
    username: str
    password: str = field(repr=False)
    folder: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message in the folder; `raw` is None if the server does not return it."""

    uid: int
    raw: bytes | None
    arrived_at: datetime | None


class Connection:
    """The library's client in its thread, whose blocking calls can be ended."""

    def __init__(self, limits: Limits, policy: EgressPolicy) -> None:
        self._limits, self._policy = limits, policy
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="imap")
        self._sockets: list[socket.socket] = []
        self._is_aborted = False
        self._client: Any = None

    async def run(self, operation: Callable[[], T]) -> T:
        """Run an operation in the thread; raises MailboxUnavailable after the time limit, and what it raises itself."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._run_counted, operation)
        try:
            async with asyncio.timeout(self._limits.operation_seconds):
                return await future
        except TimeoutError as error:
            limit = self._limits.operation_seconds
            raise MailboxUnavailable(f"The server did not answer within {limit:g} seconds.") from error

    def _run_counted(self, operation: Callable[[], T]) -> T:
        if self._client is not None:
            self._client.allow_bytes()
        return operation()

    def abort(self) -> None:
        """Close the connection at once, with any operation that is running, and end the thread."""
        if self._is_aborted:
            return
        self._is_aborted = True
        for connected in self._sockets:
            _close_socket(connected)
        self._thread.submit(self._release)
        self._thread.shutdown(wait=False)

    def open(self, account: Account) -> tuple[int, int]:
        """Log in and open the folder; returns its UIDVALIDITY and the next UID."""
        with _translate_errors():
            self._client = _Client(account, self._limits, self._policy, self._add_socket)
            if account.security is MailboxSecurity.STARTTLS:
                with _translate_refusal("The server offers no STARTTLS", CapabilityError):
                    self._client.starttls(ssl.create_default_context())
            with _translate_refusal("The server refuses the user name or the password", LoginError):
                if account.password.isascii() and account.username.isascii():
                    self._client.login(account.username, account.password)
                else:
                    self._client.plain_login(account.username, account.password)
            with _translate_refusal(f"The server does not open the folder '{account.folder}'", imaplib.IMAP4.error):
                selected = self._client.select_folder(account.folder, readonly=True)
            uid_next = selected.get(b"UIDNEXT")
            if uid_next is None:
                uid_next = max(self._client.search("UID *"), default=0) + 1
            return int(selected.get(b"UIDVALIDITY", 0)), int(uid_next)

    def list_sizes(self, first: int, last: int, since: date) -> list[tuple[int, int]]:
        """Return the UIDs and sizes in bytes of the messages since a day, in the order of their UIDs."""
        with _translate_errors():
            uids = sorted(self._client.search(["UID", f"{first}:{last}", "SINCE", since]))
            uids = [uid for uid in uids if first <= uid <= last]
            sizes: dict[int, int] = {}
            pending = iter(uids)
            while chunk := list(islice(pending, 1000)):
                answer = self._client.fetch(chunk, ["RFC822.SIZE"])
                sizes |= {uid: int(data.get(b"RFC822.SIZE") or 0) for uid, data in answer.items()}
            # The server returns nothing for messages that have been expunged since the search.
            return [(uid, sizes[uid]) for uid in uids if uid in sizes]

    def fetch(self, uids: Sequence[int]) -> list[Arrival]:
        """Return messages without marking them as read; deleted messages are left out."""
        body = f"BODY.PEEK[]<0.{self._limits.message_bytes}>"
        try:
            with _translate_errors():
                answer = self._client.fetch(uids, ["INTERNALDATE", body])
        except _UnreadableAnswer:
            if len(uids) == 1:
                return [Arrival(uids[0], None, None)]
            # One unreadable message must not block the others.
            return [arrival for uid in uids for arrival in self.fetch([uid])]
        return [_build_arrival(uid, answer[uid]) for uid in sorted(answer)]

    def _add_socket(self, connected: socket.socket) -> None:
        """Add a socket that `abort` closes; called in the thread."""
        self._sockets.append(connected)
        if self._is_aborted:
            _close_socket(connected)

    def _release(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                self._client.shutdown()

    def log_out(self) -> None:
        """Log out."""
        with _translate_errors():
            self._client.logout()


def _close_socket(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
    connected.close()


def _build_arrival(uid: int, data: dict[bytes, Any]) -> Arrival:
    raw, arrived_at = data.get(b"BODY[]<0>"), data.get(b"INTERNALDATE")
    return Arrival(
        uid, raw if isinstance(raw, bytes) else None, arrived_at if isinstance(arrived_at, datetime) else None
    )


class _UnreadableAnswer(MailboxUnavailable):
    """The answer of the server violates the protocol."""


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise the errors of a connection as MailboxUnavailable with a sentence."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise MailboxUnavailable(f"The server's certificate cannot be trusted: {error.verify_message}.") from error
    except EgressError as error:
        raise MailboxUnavailable(str(error)) from error
    except TimeoutError as error:
        raise MailboxUnavailable("The connection timed out.") from error
    except imaplib.IMAP4.abort as error:
        raise MailboxUnavailable("The connection was lost.") from error
    except ProtocolError as error:
        raise _UnreadableAnswer("The server's answer cannot be read.") from error
    except imaplib.IMAP4.error as error:
        raise MailboxUnavailable(f"The server refused the request{_find_code(error)}.") from error
    except (OSError, ValueError) as error:
        raise MailboxUnavailable("The server cannot be reached.") from error


@contextmanager
def _translate_refusal(sentence: str, kind: type[Exception]) -> Iterator[None]:
    """Raise a refusal of the server as MailboxRefused, unless the connection was lost or the refusal is temporary."""
    try:
        yield
    except kind as error:
        # The library raises a connection that is lost during a login as a failed login.
        if isinstance(error, imaplib.IMAP4.abort) or isinstance(error.__context__, imaplib.IMAP4.abort | OSError):
            raise MailboxUnavailable("The connection was lost.") from error
        if _TEMPORARY.search(str(error)[:MAX_SEARCHED_CHARACTERS]):
            raise MailboxUnavailable(f"The server refused the request for now{_find_code(error)}.") from error
        raise MailboxRefused(f"{sentence}{_find_code(error)}.") from error


def _find_code(error: Exception) -> str:
    """Return the response code of the server in parentheses, if it is one that we know."""
    code = _RESPONSE_CODE.search(str(error)[:MAX_SEARCHED_CHARACTERS])
    return f" ({code[1].upper()})" if code else ""


class _Client(IMAPClient):  # type: ignore[misc] # it ships no types
    """The library's client, whose sockets can be closed as soon as they exist."""

    def __init__(
        self, account: Account, limits: Limits, policy: EgressPolicy, add_socket: Callable[[socket.socket], None]
    ) -> None:
        self._limits, self._policy, self._add_socket = limits, policy, add_socket
        super().__init__(
            account.host,
            account.port,
            ssl=account.security is MailboxSecurity.TLS,
            timeout=SocketTimeout(limits.connect_seconds, limits.read_seconds),
        )
        # Times keep the time zone of the server.
        self.normalise_times = False

    def _create_IMAP4(self) -> imaplib.IMAP4:  # noqa: N802 - the library's own name
        context = ssl.create_default_context() if self.ssl else None
        return _Protocol(self.host, self.port, self._limits, self._policy, context, self._add_socket)

    def allow_bytes(self) -> None:
        """Let the server send as much as one operation may read."""
        self._imap.allow_bytes()


class _Protocol(imaplib.IMAP4):
    """The standard library's protocol on a socket to a checked address, with a limit on what is read."""

    def __init__(
        self,
        host: str,
        port: int,
        limits: Limits,
        policy: EgressPolicy,
        context: ssl.SSLContext | None,
        add_socket: Callable[[socket.socket], None],
    ) -> None:
        self._limits, self._policy, self._context, self._add_socket = limits, policy, context, add_socket
        self._bytes_left = limits.operation_bytes
        super().__init__(host, port, timeout=limits.connect_seconds)

    def allow_bytes(self) -> None:
        """Let the server send as much as one operation may read."""
        self._bytes_left = self._limits.operation_bytes

    def read(self, size: int) -> bytes:
        """Read a literal, whose length the server announces."""
        self._count(size)
        return super().read(size)

    def readline(self) -> bytes:
        """Read a line, whose length the library limits."""
        line = super().readline()
        self._count(len(line))
        return line

    def _count(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise self.abort("the answer is longer than allowed")

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = connect(self._policy, self.host, self.port, timeout or self._limits.connect_seconds)
        # A duplicate, because TLS detaches the socket that it wraps.
        self._add_socket(plain.dup())
        return self._context.wrap_socket(plain, server_hostname=self.host) if self._context else plain
