"""If-Match: a change is made to what the caller has seen, or not at all."""

from typing import Annotated

from fastapi import Depends, Header

from api.http.errors import PreconditionFailed
from api.http.middleware import etag_of
from api.http.pagination import Wire


class Precondition:
    """The tags a request names in If-Match; without the header every state is fine."""

    def __init__(self, if_match: str | None) -> None:
        self._named = {tag.strip() for tag in if_match.split(",")} if if_match is not None else {"*"}

    def require(self, current: Wire) -> None:
        """Raise PreconditionFailed unless `current`, as its GET answers it, has one of the tags.

        To be asked while the row is held, so that nobody changes it between this and the change.
        """
        etag = etag_of(current.model_dump_json(by_alias=True).encode())
        if "*" not in self._named and etag not in self._named:
            raise PreconditionFailed(
                f"The resource has changed since you read it; its ETag is {etag} now."
                " Read it again and repeat your change."
            )


async def _precondition(
    if_match: Annotated[
        str | None, Header(max_length=1000, description="ETags; the change is made only to a state that has one.")
    ] = None,
) -> Precondition:
    return Precondition(if_match)


IfMatch = Annotated[Precondition, Depends(_precondition)]
