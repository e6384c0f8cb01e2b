"""What is measured of a mail to a lead, by the workspace's setting and the lead's country."""

from collections.abc import Mapping
from functools import cache

from babel import Locale
from babel.core import get_global

from database.models import Lead, Workspace
from domain import tracking
from domain.suppression import extract_domain
from domain.tracking import Tracking, TrackingSetting
from domain.words import fold_words

_FIELD_WORDS = frozenset({"country", "land", "pays", "pais", "paese"})
_LANGUAGES = ("en", "de", "fr", "nl", "es", "pt", "it", "af", "pl", "sv", "da", "nb", "fi", "cs")
_OTHER_NAMES = {
    "uk": "GB", "great britain": "GB", "britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB",
    "northern ireland": "GB", "usa": "US", "us": "US", "america": "US", "holland": "NL", "the netherlands": "NL",
    "czech republic": "CZ", "republic of ireland": "IE", "uae": "AE", "rsa": "ZA", "el": "GR",
}  # fmt: skip
_COUNTRY_CODE_LENGTH = 2
_NO_COUNTRIES = frozenset({"EZ", "QO", "UN", "XA", "XB", "ZZ"})
"""Codes of groups, tests and unknown regions in CLDR."""
# Domains of countries that are used all over the world.
_GENERIC_DOMAINS = frozenset(
    {"ad", "ai", "as", "bz", "cc", "cd", "co", "dj", "fm", "gg", "io", "la", "me", "ms", "nu", "sc", "sr", "su", "tk",
     "tv", "ws"}
)  # fmt: skip


def decide_tracking(workspace: Workspace, lead: Lead) -> Tracking:
    """Return what is measured of a mail that is sent to a lead now."""
    return tracking.decide_tracking(TrackingSetting(workspace.tracking), find_country(lead))


def find_country(lead: Lead) -> str | None:
    """Return the ISO code of a lead's country: by a custom field, else its time zone, else the end of its address."""
    for name, value in lead.custom_fields.items():
        if _FIELD_WORDS & set(fold_words(name).split()) and (code := _countries().get(fold_words(str(value)))):
            return code
    if lead.timezone is not None and (code := _find_country_of_zone(lead.timezone)):
        return code
    ending = extract_domain(lead.email).rpartition(".")[2]
    is_generic = len(ending) != _COUNTRY_CODE_LENGTH or ending in _GENERIC_DOMAINS
    return None if is_generic else _countries().get(ending)


def _find_country_of_zone(timezone: str) -> str | None:
    zone = get_global("zone_aliases").get(timezone, timezone)
    return _countries().get(str(get_global("zone_territories").get(zone)).lower())


@cache
def _countries() -> Mapping[str, str]:
    """Return the ISO codes by the codes and by the names of countries in several languages."""
    codes = {str(code) for code in Locale.parse("en").territories} - _NO_COUNTRIES
    codes = {code for code in codes if len(code) == _COUNTRY_CODE_LENGTH}
    aliases = get_global("territory_aliases").items()
    found = {str(alias).lower(): new[0] for alias, new in aliases if len(new) == 1 and new[0] in codes}
    found |= {code.lower(): code for code in codes}
    for language in reversed(_LANGUAGES):
        names = Locale.parse(language).territories
        found |= {fold_words(names[code]): code for code in sorted(codes) if fold_words(names.get(code, ""))}
    return found | _OTHER_NAMES
