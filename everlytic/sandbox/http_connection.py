"""A minimal HTTP/1.1 client over keep-alive connections, for fast webhook deliveries."""

import asyncio
import ssl
from urllib.parse import urlsplit

_MAX_BODY = 1_000_000


class Connection:
    """One connection to one origin. ``exchange`` sends a request and returns the status; any failure is an OSError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.is_reusable = True

    @classmethod
    async def open(cls, url: str) -> "Connection":
        """Connect to the origin of ``url``."""
        parts = urlsplit(url)
        context = ssl.create_default_context() if parts.scheme == "https" else None
        port = parts.port or (443 if context else 80)
        return cls(*await asyncio.open_connection(parts.hostname, port, ssl=context))

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    async def exchange(self, request: bytes) -> int:
        """Write one request and read its complete response."""
        self.is_reusable = False
        try:
            self._writer.write(request)
            await self._writer.drain()
            status, headers = await self._read_head()
            while status < 200:  # noqa: PLR2004 - interim responses precede the final one
                status, headers = await self._read_head()
            self.is_reusable = await self._skip_body(status, headers)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError) as error:
            message = f"the receiver's response cannot be parsed: {error}"
            raise ConnectionError(message) from error
        return status

    async def _read_head(self) -> tuple[int, dict[str, str]]:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:] if line)
        return int(lines[0].split(" ", 2)[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}

    async def _skip_body(self, status: int, headers: dict[str, str]) -> bool:
        """Read and discard the body; return whether the connection can be reused."""
        is_kept_alive = headers.get("connection", "").lower() != "close"
        if status in {204, 304}:
            return is_kept_alive
        if "chunked" in headers.get("transfer-encoding", "").lower():
            while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await self._reader.readexactly(size + 2)
            while await self._reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return is_kept_alive
        if "content-length" in headers:
            await self._reader.readexactly(int(headers["content-length"]))
            return is_kept_alive
        await self._reader.read(_MAX_BODY)
        return False


def encode_request(verb: str, url: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return the bytes of an HTTP/1.1 request."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{verb.upper()} {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body


def get_origin(url: str) -> str:
    """Return the scheme and authority of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
