"""If-Match: a change applies only to the state that the caller has read."""

from typing import Annotated

from fastapi import Depends, Header

from api.http.errors import PreconditionFailed
from api.http.middleware import etag_of, parse_etags
from api.http.pagination import Wire


class Precondition:
    """The tags of the If-Match header; without the header every state matches."""

    def __init__(self, if_match: str | None) -> None:
        self._named = parse_etags(if_match) if if_match is not None else {"*"}

    def require(self, current: Wire) -> None:
        """Raise PreconditionFailed unless the GET response `current` has one of the tags.

        Call it while the row is locked, so that no other transaction changes it before this change.
        """
        etag = etag_of(current.model_dump_json(by_alias=True).encode())
        if "*" not in self._named and etag not in self._named:
            raise PreconditionFailed(
                f"The resource has changed since you read it. Its ETag is now {etag}."
                " Read it again and repeat your change."
            )


async def _precondition(
    if_match: Annotated[
        str | None, Header(max_length=1000, description="ETags; the change applies only to a state with one of them.")
    ] = None,
) -> Precondition:
    return Precondition(if_match)


IfMatch = Annotated[Precondition, Depends(_precondition)]
