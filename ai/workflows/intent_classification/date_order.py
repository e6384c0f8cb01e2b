"""Decides whether numeric dates of a message begin with the day or the month: by its text, language and time zone."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

from babel.core import get_global

from ai.workflows.intent_classification.date_readings import Order

MAX_DELIVERY = timedelta(days=3)
"""How far the Date header may be from the time of receipt; with another one the sender's clock is wrong."""
_MONTH_FIRST_REGIONS = {"us", "ph", "fm", "pw", "gu", "pr", "as"}
_MONTH_FIRST_LANGUAGES = {"ja", "zh", "ko", "hu", "lt"}
_US_OFFSETS = range(-10, -3)
_NUMERIC = re.compile(r"(?<![\d./-])(\d{1,2})([/-])(\d{1,2})\2(?:\d{4}|\d{2})(?!\d)")
_TAG = re.compile(r"^\s*([a-z]{2,3})(?:-[a-z]{4})?(?:-([a-z]{2}|\d{3}))?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SentAt:
    """The day on which a message was sent where its sender is, and what is known of the sender's language."""

    day: date
    offset: timedelta | None = None
    tag: tuple[str, str] | None = None
    region: str = ""
    """The country of the sender's time zone, if that is known."""


def read_sent_at(pairs: Iterable[tuple[str, str]], received_at: datetime, zone: str = "") -> SentAt:
    """Return the sender's day and language by the headers; the day of receipt if Date is missing or wrong.

    `zone` is the sender's time zone, if it is known.
    """
    region = get_global("zone_territories").get(zone, "").casefold()
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers.setdefault(name.strip().casefold(), value)
    tag = None
    for name in ("content-language", "accept-language"):
        if tag is None and (match := _TAG.match(headers.get(name, ""))):
            tag = (match[1].casefold(), (match[2] or "").casefold())
    try:
        sent = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return SentAt(received_at.date(), None, tag, region)
    offset = sent.utcoffset()
    local = sent if offset is not None else sent.replace(tzinfo=UTC)
    try:
        is_near = abs(local - received_at) <= MAX_DELIVERY
    except OverflowError:
        is_near = False
    return SentAt(local.date() if is_near else received_at.date(), offset, tag, region)


def find_order(text: str, languages: Iterable[str], sent: SentAt) -> Order | None:
    """Return what numeric dates begin with; None if text, language and time zone do not tell."""
    if order := _find_order_in_text(text):
        return order
    spoken = set(languages)
    if spoken & _MONTH_FIRST_LANGUAGES:
        return "month"
    if spoken and "en" not in spoken:
        return "day"
    return _find_english_order(sent)


def _find_english_order(sent: SentAt) -> Order | None:
    """Return the order of dates in an English text: Americans begin with the month."""
    hours = None if sent.offset is None else sent.offset // timedelta(hours=1)
    is_american = hours in _US_OFFSETS
    language, region = sent.tag or ("", "")
    if "ca" in {region, sent.region}:  # Canadians use both.
        return None
    if not region and sent.region in _MONTH_FIRST_REGIONS:
        return "month"
    if region in _MONTH_FIRST_REGIONS and language == "en":
        # Many others keep the language that their program came with.
        return "month" if is_american or hours in {None, 0} else None
    if region:
        return "day"
    if is_american:
        return "month"
    return "day" if hours else None


def find_dotted_order(languages: Iterable[str]) -> Order:
    """Return what numeric dates with dots begin with."""
    return "month" if set(languages) & _MONTH_FIRST_LANGUAGES else "day"


def _find_order_in_text(text: str) -> Order | None:
    """Return the order of the dates in a text of which one number can be no month."""
    orders: set[Order] = set()
    for first, _, second in _NUMERIC.findall(text):
        if int(first) > 12 >= int(second):  # noqa: PLR2004 - months
            orders.add("day")
        elif int(second) > 12 >= int(first):  # noqa: PLR2004 - months
            orders.add("month")
    return orders.pop() if len(orders) == 1 else None
