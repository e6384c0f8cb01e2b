"""Pages that stay stable while rows are inserted: opaque cursors over the id, which grows with time."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from api.errors import Malformed

MAX_PAGE_SIZE = 500

T = TypeVar("T")


class Wire(BaseModel):
    """A body on the wire: camelCase outside, snake_case inside, strict, nothing unknown taken."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True, extra="forbid")


class PageRequest(BaseModel):
    """Where a page starts (exclusive) and how long it may be."""

    after: UUID | None
    limit: int


W = TypeVar("W", bound=Wire)


class Page(Wire, Generic[T]):
    """A page of `items`, and the cursor of the next one, null on the last."""

    items: list[T]
    next_cursor: str | None = None


def page_request(
    cursor: Annotated[str | None, Query(max_length=200, description="`nextCursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="How many items at most.")] = 50,
) -> PageRequest:
    """Return the page a request asks for; raises Malformed for a cursor that is not one of ours."""
    return PageRequest(after=decode_cursor(cursor) if cursor else None, limit=limit)


def encode_cursor(last: UUID) -> str:
    """Return the cursor of the page after the item `last`."""
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def decode_cursor(cursor: str) -> UUID:
    """Return the id a cursor stands for; raises Malformed."""
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise Malformed(
            "The cursor is not one of ours; start again without one.",
            errors=[{"location": ["query", "cursor"], "message": "not a cursor"}],
        ) from error


def paged(statement: Select[Any], id_column: InstrumentedAttribute[UUID], page: PageRequest) -> Select[Any]:
    """Return `statement` newest first, from the page's start, with one row more than the page holds."""
    if page.after is not None:
        statement = statement.where(id_column < page.after)
    return statement.order_by(id_column.desc()).limit(page.limit + 1)


def to_page(item_type: type[W], rows: Sequence[Any], page: PageRequest) -> Page[W]:
    """Return rows that `paged` selected as a page of `item_type`; each row needs an `id`."""
    shown = rows[: page.limit]
    more = len(rows) > page.limit
    return Page(
        items=[item_type.model_validate(row) for row in shown],
        next_cursor=encode_cursor(shown[-1].id) if more else None,
    )
