"""The difference between two results, as RFC 6902 has it."""

import asyncio
import json

import jsonpatch

from domain.bounded_json import JsonLimitExceeded, parse_json

LONGEST_BODY = 1_000_000
"""Of a result that is compared: beyond it the comparison costs more than it saves."""


class Change:
    """What has become of one result: its patch is made when it is first wanted, once, for all who have the result."""

    def __init__(self, etag: str, before: bytes, after: bytes) -> None:
        self._etag = etag
        self._documents: tuple[bytes, bytes] | None = (before, after)
        self._made: asyncio.Future[bytes] | None = None

    async def patch_from(self, etag: str) -> bytes | None:
        """Return the JSON Patch for whoever has the result of this tag; None where there is none that is shorter."""
        if etag != self._etag:
            return None
        if self._documents is not None:
            # It takes as long as asking many queries does, and nobody else must wait for it.
            self._made = asyncio.ensure_future(asyncio.to_thread(patch_between, *self._documents))
            self._documents = None
        assert self._made is not None
        # One reader may go while the others wait.
        return await asyncio.shield(self._made) or None


def patch_between(before: bytes, after: bytes) -> bytes:
    """Return the JSON Patch that makes one document of the other; empty where there is none that is shorter."""
    if len(before) > LONGEST_BODY or len(after) > LONGEST_BODY:
        return b""
    try:
        operations = jsonpatch.make_patch(parse_json(before), parse_json(after)).patch
    except JsonLimitExceeded:
        return b""
    patch = json.dumps(operations, ensure_ascii=False, separators=(",", ":")).encode()
    return patch if len(patch) < len(after) else b""
