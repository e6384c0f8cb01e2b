import pytest

from domain.tracking import Tracking, TrackingSetting, decide_tracking, list_consent_countries


@pytest.mark.parametrize(
    ("setting", "country", "opens", "clicks"),
    [
        *((TrackingSetting.OFF, country, False, False) for country in ("DE", "ZA", None)),
        *((TrackingSetting.CLICKS, country, False, True) for country in ("DE", "ZA", None)),
        *((TrackingSetting.ALL, country, True, True) for country in ("DE", "ZA", None)),
        *((TrackingSetting.AUTOMATIC, country, False, True) for country in ("DE", "NO", "GB", "CH", "RE", "EU")),
        *((TrackingSetting.AUTOMATIC, country, True, True) for country in ("ZA", "US", "RU", "TR", None)),
    ],
)
def test_what_is_measured(setting: TrackingSetting, country: str | None, *, opens: bool, clicks: bool) -> None:
    """A setting holds in every country; `automatic` leaves out the opens of countries that ask for consent."""
    assert decide_tracking(setting, country) == Tracking(opens, clicks, country)


def test_the_list_of_countries_is_whole() -> None:
    """The list has the 27 members of the EU, the other three of the EEA, and no code that is not one."""
    countries = list_consent_countries()
    assert {"AT", "CY", "EE", "FR", "GR", "HR", "IE", "IS", "LI", "MT", "NO", "PL", "SE"} <= countries
    assert len(countries - {"EU", "AX", "GF", "GP", "MF", "MQ", "RE", "YT", "GB", "GI", "GG", "IM", "JE", "CH"}) == 30
    assert all(len(code) == 2 and code.isupper() for code in countries)
