"""The difference between two results as a JSON Patch (RFC 6902)."""

import asyncio
import json

import jsonpatch

from domain.bounded_json import JsonLimitExceeded, parse_json

MAX_BODY_BYTES = 1_000_000
"""The largest result that is compared. For a larger one the comparison costs more than it saves."""


class Change:
    """The change from one result to the next. Its patch is computed once, on first use, for all readers."""

    def __init__(self, etag: str, before: bytes, after: bytes) -> None:
        self._etag = etag
        self._documents: tuple[bytes, bytes] | None = (before, after)
        self._patch: asyncio.Future[bytes] | None = None

    async def patch_from(self, etag: str) -> bytes | None:
        """Return the JSON Patch for a reader that has the result with this tag; None without a shorter one."""
        if etag != self._etag:
            return None
        if self._documents is not None:
            # It takes as long as many queries. The thread keeps the event loop free for other clients.
            self._patch = asyncio.ensure_future(asyncio.to_thread(patch_between, *self._documents))
            self._documents = None
        assert self._patch is not None
        # A reader that leaves must not cancel the patch for the others.
        return await asyncio.shield(self._patch) or None


def patch_between(before: bytes, after: bytes) -> bytes:
    """Return the JSON Patch from one document to the other; empty if it is not shorter than the second document."""
    if len(before) > MAX_BODY_BYTES or len(after) > MAX_BODY_BYTES:
        return b""
    try:
        operations = jsonpatch.make_patch(parse_json(before), parse_json(after)).patch
    except JsonLimitExceeded:
        return b""
    patch = json.dumps(operations, ensure_ascii=False, separators=(",", ":")).encode()
    return patch if len(patch) < len(after) else b""
