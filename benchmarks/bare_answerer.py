"""A server that gives everybody the same answer, at once or after a while: nothing more, so that it is quick."""

import argparse
import asyncio

HEAD_END = b"\r\n\r\n"


class Answerer(asyncio.Protocol):
    """One connection of a caller, whose requests come one after the other."""

    def __init__(self, answer: bytes, after: float) -> None:
        self._answer, self._after = answer, after
        self._came = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole; who looks whether the server is there need not wait."""
        self._came += data
        while (head := self._came.find(HEAD_END)) >= 0:
            lines = self._came[:head].decode("latin-1").lower().split("\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
            end = head + len(HEAD_END) + length
            if len(self._came) < end:
                return
            del self._came[:end]
            after = 0.0 if lines[0].startswith("get / ") else self._after
            asyncio.get_running_loop().call_later(after, self._send)

    def _send(self) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(self._answer)


async def answer(port: int, body: bytes, after: float) -> None:
    """Answer until the process is ended."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answerer(head + body, after), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--body", default="")
    parser.add_argument("--after", type=float, default=0.0, help="How many seconds an answer takes.")
    arguments = parser.parse_args()
    asyncio.run(answer(arguments.port, arguments.body.encode(), arguments.after))
