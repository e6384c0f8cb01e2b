"""How the tenant API lists things: page, count, order, direction, filters in, links and collection out."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import Request, Response

from everlytic.sandbox.gate import Refusal, answer, tenant_error
from everlytic.sandbox.scenarios import chance
from everlytic.sandbox.spoiling import REPEATED, cut, fault_of, spoil, unreadable
from everlytic.sandbox.state import Tenant

T = TypeVar("T")

MAXIMUM, DEFAULT = 100, 50
MAX_DIGITS = 18
"""How many digits of a number in a URL are read; Python refuses to read thousands of them."""


def filters(request: Request, tenant: Tenant) -> dict[str, list[str]]:
    """The filters of a query, under their plain names (``custom_headers[X]`` keeps its bracket)."""
    how = tenant.behaviour.value("filter_spelling")
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        plain = name
        if name.startswith("filters["):
            if how == "plain":
                continue
            first, _, rest = name.removeprefix("filters[").partition("]")
            plain = first + rest
        elif how == "nested":
            continue
        values = found.setdefault(plain.removesuffix("[]"), [])
        if value not in values:
            values.append(value)
    return found


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    if text and not (is_number and int(text) > 0):
        raise Refusal(tenant_error(400, f"{name} must be a whole number above 0"))
    return int(text) if text else default


def collection(
    request: Request, tenant: Tenant, title: str, items: Sequence[T], show: Callable[[T], dict[str, Any]]
) -> Response:
    """One page of ``items``, which are in ascending order; ``direction=desc`` turns them around."""
    page, count = _whole(request, "page", 1), _whole(request, "count", DEFAULT)
    if count > MAXIMUM:
        if tenant.behaviour.value("count_over_maximum") == "reject":
            raise Refusal(tenant_error(400, f"count must not be above {MAXIMUM}"))
        count = MAXIMUM
    start, total = (page - 1) * count, len(items)
    ordered = _ordered(request, tenant, items)
    shown, before = (
        [show(one) for one in ordered(*bounds)] for bounds in ((start, start + count), (start - REPEATED, start))
    )
    entries: list[object] = [{"data": row} for row in spoil(request, shown, before)]
    if fault_of(request) == "unreadable_rows" and shown:
        entries += unreadable(shown[0])
    base = str(request.base_url)
    links = [
        {"title": "Self", "rel": "self", "href": str(request.url)},
        {"title": "Home", "rel": "home", "href": f"{base}api/2.0/"},
    ]
    if start + count < total:
        following = page if fault_of(request) == "circular_pages" else page + 1
        links.append({"title": title, "rel": "next", "href": str(request.url.include_query_params(page=following))})
    if page > 1:
        href = str(request.url.include_query_params(page=page - 1))
        links.append({"title": title, "rel": "prev", "href": href})
    return cut(request, answer({"links": links, "collection": entries}))


def _ordered(request: Request, tenant: Tenant, items: Sequence[T]) -> Callable[[int, int], Sequence[T]]:
    """What gives the items from one place to another, in the order asked for or in whatever order this server has."""
    total = len(items)
    if tenant.behaviour.value("list_order") == "shuffled":
        mixed = sorted(range(total), key=lambda place: chance(tenant.behaviour.seed, "order", place))
        return lambda first, end: [items[place] for place in mixed[max(first, 0) : max(end, 0)]]
    if request.query_params.get("direction", "asc") == "desc":
        return lambda first, end: items[max(total - end, 0) : max(total - max(first, 0), 0)][::-1]
    return lambda first, end: items[max(first, 0) : max(end, 0)]


def item(request: Request, title: str, value: dict[str, Any], status: int = 200) -> Response:
    """One entity in the tenant API's envelope."""
    base, own = str(request.base_url), str(request.url.replace(query=""))
    links = [
        {"title": "Self", "rel": "self", "href": own},
        {"title": "Home", "rel": "home", "href": f"{base}api/2.0/"},
        {"title": title, "rel": "collection", "href": own.rpartition("/")[0]},
    ]
    return cut(request, answer({"links": links, "item": value}, status))
