"""A provider that takes every mail and notes when its call began: nothing more, so that it is quick.

`GET /calls` gives [message id, epoch seconds at which the first byte came, body] of each call so far.
"""

import argparse
import asyncio
import json
import time
import uuid

HEAD_END = b"\r\n\r\n"


class Receiver(asyncio.Protocol):
    """One connection of a caller, whose requests come one after the other."""

    def __init__(self, calls: list[tuple[str, float, str]]) -> None:
        self._calls = calls
        self._came = bytearray()
        self._began = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        if not self._came:
            self._began = time.time()
        self._came += data
        while (head := self._came.find(HEAD_END)) >= 0:
            lines = self._came[:head].decode("latin-1").lower().split("\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
            end = head + len(HEAD_END) + length
            if len(self._came) < end:
                return
            self._answer(lines[0], bytes(self._came[end - length : end]))
            del self._came[:end]
            self._began = time.time()

    def _answer(self, request: str, body: bytes) -> None:
        if request.startswith("get /calls "):
            answer: object = self._calls
        elif request.startswith("post ") and "/mail " in request:
            sent = json.loads(body)
            self._calls.append((sent["headers"]["message_id"], self._began, body.decode()))
            answer = {"transactions": [{"id": str(uuid.uuid4())}]}
        else:
            answer = {"id": str(uuid.uuid4()), "data": [], "transactions": []}
        text = json.dumps(answer).encode()
        assert self._transport is not None
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text
        )


async def receive(port: int) -> None:
    """Take mails until the process is ended."""
    calls: list[tuple[str, float, str]] = []
    server = await asyncio.get_running_loop().create_server(lambda: Receiver(calls), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(receive(parser.parse_args().port))
