"""Reads time zones as people and programs write them: IANA names, names of Windows and Rails, cities, abbreviations."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from babel.core import get_global

from domain.timezones import list_timezones
from domain.words import fold_words

_OFFSET = re.compile(r"^\((?:UTC|GMT)\s*(?:([+-])(\d{1,2}):?(\d{2}))?\)\s*", re.IGNORECASE)
_FIXED = re.compile(r"^etc/(?:gmt|utc)[+-]?\d|^(?:gmt|utc)[+-]\d", re.IGNORECASE)
_WINTER_AND_SUMMER = (datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC))
MAX_CHARACTERS = 200

# The abbreviation is a fixed offset in the tz database, but people mean the place with its summer time. CST, IST, BST
# and AST name several places.
_ABBREVIATIONS = {
    "est": "America/New_York", "edt": "America/New_York", "et": "America/New_York", "mst": "America/Denver",
    "mdt": "America/Denver", "pst": "America/Los_Angeles", "pdt": "America/Los_Angeles", "pt": "America/Los_Angeles",
    "cdt": "America/Chicago", "sast": "Africa/Johannesburg", "cest": "Europe/Berlin", "mez": "Europe/Berlin",
    "mesz": "Europe/Berlin", "aedt": "Australia/Sydney", "nzst": "Pacific/Auckland", "nzdt": "Pacific/Auckland",
    "jst": "Asia/Tokyo", "hst": "Pacific/Honolulu",
}  # fmt: skip
_NAMES = {
    "eastern time us canada": "America/New_York", "eastern time": "America/New_York", "us eastern": "America/New_York",
    "central time us canada": "America/Chicago", "central time": "America/Chicago",
    "mountain time us canada": "America/Denver", "mountain time": "America/Denver",
    "pacific time us canada": "America/Los_Angeles", "pacific time": "America/Los_Angeles",
    "atlantic time canada": "America/Halifax", "indiana east": "America/Indiana/Indianapolis",
    "arizona": "America/Phoenix", "alaska": "America/Anchorage", "hawaii": "Pacific/Honolulu",
    "central european time": "Europe/Berlin", "mitteleuropaische zeit": "Europe/Berlin",
    "eastern european time": "Europe/Athens", "south africa standard time": "Africa/Johannesburg",
    "south africa": "Africa/Johannesburg", "harare pretoria": "Africa/Johannesburg", "pretoria": "Africa/Johannesburg",
    "london edinburgh": "Europe/London", "edinburgh": "Europe/London", "bern": "Europe/Zurich", "bonn": "Europe/Berlin",
    "cape town": "Africa/Johannesburg", "new delhi": "Asia/Kolkata", "mumbai": "Asia/Kolkata",
    "chennai": "Asia/Kolkata", "beijing": "Asia/Shanghai", "osaka": "Asia/Tokyo", "canberra": "Australia/Sydney",
    "abu dhabi": "Asia/Dubai", "st petersburg": "Europe/Moscow", "islamabad": "Asia/Karachi",
}  # fmt: skip
_AMBIGUOUS = frozenset({"cst", "ist", "bst", "ast", "gmt", "mt", "ct"})


def parse_timezone(cell: str) -> str | None:
    """Return the IANA time zone that a cell names, or None if none or more than one is possible, as for `GMT+2`."""
    name = " ".join(cell[:MAX_CHARACTERS].split())
    lower = name.lower()
    if lower in _ABBREVIATIONS:
        return _ABBREVIATIONS[lower]
    if _FIXED.match(name):
        return None
    if zone := _zones().get(lower) or _windows_zones().get(lower):
        return zone
    offset = _OFFSET.match(name)
    place = name[offset.end() :] if offset else name
    if lower in _AMBIGUOUS:
        return None
    parts = [place, *place.split(",")]
    zone = next((zone for part in parts if (zone := _places().get(fold_words(part)))), None)
    return zone if zone and (offset is None or _has_offset(zone, offset)) else None


def _has_offset(zone: str, offset: re.Match[str]) -> bool:
    """Return whether a zone has an offset as its standard time, as Windows and Rails write it."""
    sign, hours, minutes = offset.groups()
    shift = timedelta(hours=int(hours), minutes=int(minutes)) if hours else timedelta()
    offsets = [moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in _WINTER_AND_SUMMER]
    return min(found for found in offsets if found is not None) == (-shift if sign == "-" else shift)


@cache
def _zones() -> Mapping[str, str]:
    return {zone.lower(): zone for zone in list_timezones()}


@cache
def _windows_zones() -> Mapping[str, str]:
    """Return the zones of CLDR by the names of Windows."""
    return {name.lower(): zone for name, zone in get_global("windows_zone_mapping").items()}


@cache
def _places() -> Mapping[str, str]:
    """Return the zones by the names of their cities that only one zone has, and by names that people use."""
    cities: dict[str, set[str]] = {}
    for zone in list_timezones():
        area, _, city = zone.rpartition("/")
        if area and not area.startswith(("Etc", "SystemV", "US", "Canada", "Brazil", "Chile", "Mexico")):
            cities.setdefault(fold_words(city.replace("_", " ")), set()).add(zone)
    return {city: next(iter(zones)) for city, zones in cities.items() if len(zones) == 1} | _NAMES
