"""A small HTTP/1.1 caller over keep-alive connections: enough to post webhooks fast, and nothing more."""

import asyncio
import ssl
from urllib.parse import urlsplit

_MOST = 1_000_000


class Link:
    """One connection to one origin. ``exchange`` posts a request and gives the status; any failure is an OSError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.reusable = True

    @classmethod
    async def open(cls, url: str) -> "Link":
        """Connect to the origin of ``url``."""
        parts = urlsplit(url)
        secure = ssl.create_default_context() if parts.scheme == "https" else None
        port = parts.port or (443 if secure else 80)
        return cls(*await asyncio.open_connection(parts.hostname, port, ssl=secure))

    def close(self) -> None:
        """Drop the connection."""
        self._writer.close()

    async def exchange(self, request: bytes) -> int:
        """Write one request and read its answer to the end."""
        self.reusable = False
        try:
            self._writer.write(request)
            await self._writer.drain()
            status, headers = await self._head()
            while status < 200:  # noqa: PLR2004 - interim answers precede the real one
                status, headers = await self._head()
            self.reusable = await self._skip_body(status, headers)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError) as error:
            message = f"the receiver's answer cannot be read: {error}"
            raise ConnectionError(message) from error
        return status

    async def _head(self) -> tuple[int, dict[str, str]]:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:] if line)
        return int(lines[0].split(" ", 2)[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}

    async def _skip_body(self, status: int, headers: dict[str, str]) -> bool:
        """Read the body away; False when the connection cannot be used again."""
        keeps = headers.get("connection", "").lower() != "close"
        if status in {204, 304}:
            return keeps
        if "chunked" in headers.get("transfer-encoding", "").lower():
            while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await self._reader.readexactly(size + 2)
            while await self._reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return keeps
        if "content-length" in headers:
            await self._reader.readexactly(int(headers["content-length"]))
            return keeps
        await self._reader.read(_MOST)
        return False


def request_bytes(verb: str, url: str, headers: dict[str, str], body: bytes) -> bytes:
    """One HTTP/1.1 request."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{verb.upper()} {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body


def origin(url: str) -> str:
    """Scheme and authority of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
