"""What is measured of a mail: its opens and its clicks, by the workspace's setting and the recipient's country."""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path


class TrackingSetting(StrEnum):
    """What a workspace measures: `automatic` measures all, but only clicks in countries that ask for consent."""

    OFF = "off"
    CLICKS = "clicks"
    ALL = "all"
    AUTOMATIC = "automatic"


@dataclass(frozen=True, slots=True)
class Tracking:
    """Whether opens and clicks of a mail are measured; `country` is the recipient's, None if it is unknown."""

    opens: bool
    clicks: bool
    country: str | None = None


def decide_tracking(setting: TrackingSetting, country: str | None) -> Tracking:
    """Return what is measured of a mail to someone in a country."""
    if setting is TrackingSetting.AUTOMATIC:
        return Tracking(opens=country not in list_consent_countries(), clicks=True, country=country)
    opens = setting is TrackingSetting.ALL
    return Tracking(opens=opens, clicks=opens or setting is TrackingSetting.CLICKS, country=country)


@cache
def list_consent_countries() -> frozenset[str]:
    """Return the ISO codes of the countries where opens are measured only with consent."""
    text = Path(__file__).with_name("consent_countries.toml").read_text(encoding="utf-8")
    return frozenset(code for codes in tomllib.loads(text).values() for code in codes)
