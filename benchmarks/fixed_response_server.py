"""A minimal HTTP server that returns a fixed response to every request, at once or after a delay."""

import argparse
import asyncio

HEAD_END = b"\r\n\r\n"


class FixedResponseProtocol(asyncio.Protocol):
    """One connection, with sequential requests."""

    def __init__(self, response: bytes, delay_seconds: float) -> None:
        self._response, self._delay_seconds = response, delay_seconds
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Respond to each complete request; a readiness check gets its response without a delay."""
        self._received += data
        while (head := self._received.find(HEAD_END)) >= 0:
            lines = self._received[:head].decode("latin-1").lower().split("\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
            end = head + len(HEAD_END) + length
            if len(self._received) < end:
                return
            del self._received[:end]
            delay_seconds = 0.0 if lines[0].startswith("get / ") else self._delay_seconds
            asyncio.get_running_loop().call_later(delay_seconds, self._send)

    def _send(self) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(self._response)


async def serve(port: int, body: bytes, delay_seconds: float) -> None:
    """Serve until the process ends."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: FixedResponseProtocol(head + body, delay_seconds), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--body", default="")
    parser.add_argument("--delay", type=float, default=0.0, help="Seconds before each response.")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.body.encode(), arguments.delay))
