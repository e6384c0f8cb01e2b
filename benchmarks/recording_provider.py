"""A minimal email provider that accepts every email and records when each call began.

`GET /calls` returns [message id, epoch seconds of the first byte, body] of each call.
"""

import argparse
import asyncio
import json
import time
import uuid

HEAD_END = b"\r\n\r\n"


class ProviderProtocol(asyncio.Protocol):
    """One connection, with sequential requests."""

    def __init__(self, calls: list[tuple[str, float, str]]) -> None:
        self._calls = calls
        self._received = bytearray()
        self._began = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Respond to each complete request."""
        if not self._received:
            self._began = time.time()
        self._received += data
        while (head := self._received.find(HEAD_END)) >= 0:
            lines = self._received[:head].decode("latin-1").lower().split("\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
            end = head + len(HEAD_END) + length
            if len(self._received) < end:
                return
            self._respond(lines[0], bytes(self._received[end - length : end]))
            del self._received[:end]
            self._began = time.time()

    def _respond(self, request: str, body: bytes) -> None:
        if request.startswith("get /calls "):
            response: object = self._calls
        elif request.startswith("post ") and "/mail " in request:
            email = json.loads(body)
            self._calls.append((email["headers"]["message_id"], self._began, body.decode()))
            response = {"transactions": [{"id": str(uuid.uuid4())}]}
        else:
            response = {"id": str(uuid.uuid4()), "data": [], "transactions": []}
        text = json.dumps(response).encode()
        assert self._transport is not None
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text
        )


async def serve(port: int) -> None:
    """Serve until the process ends."""
    calls: list[tuple[str, float, str]] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ProviderProtocol(calls), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
