"""Pages that stay stable while rows are inserted: opaque cursors of the sort column and the id."""

import base64
import binascii
import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, Self, TypeVar, TypeVarTuple
from uuid import UUID

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel, to_snake
from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from api.http.errors import Malformed

MAX_PAGE_SIZE = 500
MAX_CURSOR_CHARACTERS = 4000
MAC_BYTES = 8
PURPOSE = b"salesmatter cursor 1"
NEWEST_FIRST = "-createdAt"

Comparison = Callable[[Any, Any], ColumnElement[bool]]
"""An operator such as `operator.eq`."""
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Wire(BaseModel):
    """A request or response body: camelCase in JSON, snake_case in Python, without unknown fields."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        from_attributes=True,
        extra="forbid",
        json_schema_serialization_defaults_required=True,
    )

    @classmethod
    def of(cls, row: object) -> Self:
        """Return the body of a row; only field names are read, not aliases, which is several times as fast."""
        return cls.model_validate(row, by_alias=False, by_name=True)


UNCHANGED: Any = Field(default=None)
"""The default of a field that a change may leave out but not set to null."""


class Filter(BaseModel):
    """The filters of a list in its query; None is no filter."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


W = TypeVar("W", bound=Wire)


class Cursors:
    """Makes cursors and reads them; each is signed, and good for one list in one order alone."""

    def __init__(self, keys: str) -> None:
        self._keys = [hmac.digest(key.strip().encode(), PURPOSE, "sha256") for key in keys.split(",") if key.strip()]

    def write(self, place: str, last: Sequence[str]) -> str:
        """Return the cursor of what follows the row with these values in the list `place`."""
        text = json.dumps(last).encode()
        return base64.urlsafe_b64encode(_mac(self._keys[0], place, text) + text).decode().rstrip("=")

    def read(self, place: str, cursor: str) -> list[str]:
        """Return the values a cursor was made of; raises Malformed for one that was not made here for this list."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        mac, text = raw[:MAC_BYTES], raw[MAC_BYTES:]
        if not any(hmac.compare_digest(mac, _mac(key, place, text)) for key in self._keys):
            raise Malformed(
                "The cursor does not belong to this list. Start again without a cursor.",
                errors=[{"location": ["query", "cursor"], "message": "must be a cursor of this list and sort order"}],
            )
        values: list[str] = json.loads(text)
        return values


def _mac(key: bytes, place: str, text: bytes) -> bytes:
    return hmac.digest(key, place.encode() + b"\x00" + text, "sha256")[:MAC_BYTES]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The requested page of a list: its length, its order (`-` for descending), and the values of the row before it."""

    limit: int
    sort: str
    after: Sequence[str] | None
    place: str
    cursors: Cursors

    @property
    def columns(self) -> list[str]:
        """The sort columns: a column and the id, or only the id, whose order is the order of creation."""
        name = to_snake(self.sort.removeprefix("-"))
        return ["id"] if name == "created_at" else [name, "id"]

    @property
    def is_descending(self) -> bool:
        """Whether the order is descending."""
        return self.sort.startswith("-")

    def cursor_after(self, *last: object) -> str:
        """Return the cursor of the page after the row with these values of the sort columns."""
        texts = [value.isoformat() if isinstance(value, datetime) else str(value) for value in last]
        return self.cursors.write(self.place, texts)


class Page(Wire, Generic[T]):
    """A page of `items`, and the cursor of the next one, null on the last."""

    items: list[T]
    next_cursor: str | None = None


Cursor = Annotated[
    str | None, Query(max_length=MAX_CURSOR_CHARACTERS, description="`nextCursor` of the previous page, unchanged.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="The most items of the page.")]


async def page_request(request: Request, cursor: Cursor = None, limit: Limit = 50) -> PageRequest:
    """Return the requested page of a list, newest first; raises Malformed for the cursor of another list."""
    return _page(request, cursor, limit, NEWEST_FIRST)


def sorted_by(orders: type[StrEnum]) -> Callable[..., Awaitable[PageRequest]]:
    """Return the dependency of a list with these sort orders, the first by default.

    An order is the JSON name of a column that is never null and has an index together with the id; `-` before it is
    descending.
    """

    first = next(iter(orders))
    described = Query(description="The sort order; `-` for descending.")

    async def sorted_page(
        request: Request,
        cursor: Cursor = None,
        limit: Limit = 50,
        sort: Annotated[orders, described] = first,  # type: ignore[valid-type]  # FastAPI reads it at run time
    ) -> PageRequest:
        return _page(request, cursor, limit, sort.value)  # type: ignore[attr-defined]  # an enum of texts

    return sorted_page


def _page(request: Request, cursor: str | None, limit: int, sort: str) -> PageRequest:
    cursors: Cursors = request.app.state.cursors
    place = f"{request.url.path} {sort}"
    return PageRequest(limit, sort, cursors.read(place, cursor) if cursor else None, place, cursors)


def build_filters(*filters: tuple[InstrumentedAttribute[Any], Comparison, object]) -> list[ColumnElement[bool]]:
    """Return a condition for each filter of column, comparison and value whose value is given."""
    return [compare(column, value) for column, compare, value in filters if value is not None]


def paged(statement: Select[*Ts], id_column: InstrumentedAttribute[UUID], page: PageRequest) -> Select[*Ts]:
    """Return `statement` in the order of the page, from its start, with one row more than the page holds."""
    columns = [getattr(id_column.class_, name) for name in page.columns]
    if page.after is not None:
        values = [_parsed(column, text) for column, text in zip(columns, page.after, strict=True)]
        row, after = tuple_(*columns), tuple_(*values)
        statement = statement.where(row < after if page.is_descending else row > after)
    ordered = statement.order_by(*(column.desc() if page.is_descending else column.asc() for column in columns))
    return ordered.limit(page.limit + 1)


def _parsed(column: InstrumentedAttribute[Any], text: str) -> Any:
    """Return the value of a column from its text in a cursor."""
    kind = column.type.python_type
    return datetime.fromisoformat(text) if kind is datetime else kind(text)


def to_page(item_type: type[W], rows: Sequence[Any], page: PageRequest) -> Page[W]:
    """Return rows of a `paged` statement as a page of `item_type`; a row is an object or a dictionary with an `id`."""
    shown = rows[: page.limit]
    has_more = len(rows) > page.limit
    return Page(
        items=[item_type.of(row) for row in shown],
        next_cursor=page.cursor_after(*(_value(shown[-1], name) for name in page.columns)) if has_more else None,
    )


def _value(row: Any, name: str) -> object:
    return row[name] if isinstance(row, dict) else getattr(row, name)
