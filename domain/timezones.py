"""The time zones that a lead or a workspace can have."""

from functools import cache
from zoneinfo import available_timezones

_INTERNAL = frozenset({"Factory", "localtime", "posixrules"})
"""Names for whatever the computer's own settings are, and for no zone."""


@cache  # reads a few hundred files
def list_timezones() -> frozenset[str]:
    """Return the names of the tz database, without its internal names."""
    return frozenset(available_timezones()) - _INTERNAL
