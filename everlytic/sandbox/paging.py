"""Lists and items of the tenant API: parses page, count, direction and filters, and builds links and collections."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import Request, Response

from everlytic.sandbox.access import RequestRejected, json_response, tenant_error_response
from everlytic.sandbox.response_faults import (
    REPEATED_ROWS,
    build_unreadable_rows,
    corrupt_rows,
    get_fault,
    truncate_response,
)
from everlytic.sandbox.scenarios import seeded_random
from everlytic.sandbox.state import Tenant

T = TypeVar("T")

MAXIMUM, DEFAULT = 100, 50
MAX_DIGITS = 18
"""The maximum number of digits of a number in a URL; Python refuses to parse thousands of digits."""


def parse_filters(request: Request, tenant: Tenant) -> dict[str, list[str]]:
    """Return the filters of a query by their plain names (``custom_headers[X]`` keeps its bracket)."""
    accepted_form = tenant.behaviour.get("filter_spelling")
    filters: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        plain = name
        if name.startswith("filters["):
            if accepted_form == "plain":
                continue
            first, _, rest = name.removeprefix("filters[").partition("]")
            plain = first + rest
        elif accepted_form == "nested":
            continue
        values = filters.setdefault(plain.removesuffix("[]"), [])
        if value not in values:
            values.append(value)
    return filters


def _parse_positive_integer(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    if text and not (is_number and int(text) > 0):
        raise RequestRejected(tenant_error_response(400, f"{name} must be a whole number above 0"))
    return int(text) if text else default


def build_collection(
    request: Request, tenant: Tenant, title: str, items: Sequence[T], to_json: Callable[[T], dict[str, Any]]
) -> Response:
    """Return one page of ``items``, which are in ascending order; ``direction=desc`` reverses them."""
    page = _parse_positive_integer(request, "page", 1)
    count = _parse_positive_integer(request, "count", DEFAULT)
    if count > MAXIMUM:
        if tenant.behaviour.get("count_over_maximum") == "reject":
            raise RequestRejected(tenant_error_response(400, f"count must not be above {MAXIMUM}"))
        count = MAXIMUM
    start, total = (page - 1) * count, len(items)
    get_items = _order_items(request, tenant, items)
    rows, previous_rows = (
        [to_json(item) for item in get_items(*bounds)]
        for bounds in ((start, start + count), (start - REPEATED_ROWS, start))
    )
    entries: list[object] = [{"data": row} for row in corrupt_rows(request, rows, previous_rows)]
    if get_fault(request) == "unreadable_rows" and rows:
        entries += build_unreadable_rows(rows[0])
    base = str(request.base_url)
    links = [
        {"title": "Self", "rel": "self", "href": str(request.url)},
        {"title": "Home", "rel": "home", "href": f"{base}api/2.0/"},
    ]
    if start + count < total:
        next_page = page if get_fault(request) == "circular_pages" else page + 1
        links.append({"title": title, "rel": "next", "href": str(request.url.include_query_params(page=next_page))})
    if page > 1:
        href = str(request.url.include_query_params(page=page - 1))
        links.append({"title": title, "rel": "prev", "href": href})
    return truncate_response(request, json_response({"links": links, "collection": entries}))


def _order_items(request: Request, tenant: Tenant, items: Sequence[T]) -> Callable[[int, int], Sequence[T]]:
    """Return a function that gives the items between two positions, in the requested or in a shuffled order."""
    total = len(items)
    if tenant.behaviour.get("list_order") == "shuffled":
        shuffled = sorted(range(total), key=lambda position: seeded_random(tenant.behaviour.seed, "order", position))
        return lambda first, end: [items[position] for position in shuffled[max(first, 0) : max(end, 0)]]
    if request.query_params.get("direction", "asc") == "desc":
        return lambda first, end: items[max(total - end, 0) : max(total - max(first, 0), 0)][::-1]
    return lambda first, end: items[max(first, 0) : max(end, 0)]


def build_item(request: Request, title: str, value: dict[str, Any], status: int = 200) -> Response:
    """Return one object in the tenant API's envelope."""
    base, own = str(request.base_url), str(request.url.replace(query=""))
    links = [
        {"title": "Self", "rel": "self", "href": own},
        {"title": "Home", "rel": "home", "href": f"{base}api/2.0/"},
        {"title": title, "rel": "collection", "href": own.rpartition("/")[0]},
    ]
    return truncate_response(request, json_response({"links": links, "item": value}, status))
