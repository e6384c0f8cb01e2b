import pytest

from api.imports.timezones import MAX_CHARACTERS, parse_timezone


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("America/New_York", "America/New_York"),
        ("europe/berlin ", "Europe/Berlin"),
        ("Europe/Kiev", "Europe/Kiev"),
        ("EST", "America/New_York"),
        ("PST", "America/Los_Angeles"),
        ("EST5EDT", "EST5EDT"),
        ("Eastern Time (US & Canada)", "America/New_York"),
        ("(GMT-05:00) Eastern Time (US & Canada)", "America/New_York"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("South Africa Standard Time", "Africa/Johannesburg"),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome", "Europe/Amsterdam"),
        ("(UTC+02:00) Harare, Pretoria", "Africa/Johannesburg"),
        ("(UTC) Dublin, Edinburgh, Lisbon, London", "Europe/Dublin"),
        ("Berlin", "Europe/Berlin"),
        ("UTC", "UTC"),
        ("CET", "CET"),
    ],
)
def test_zones_are_read_as_people_and_programs_write_them(name: str, zone: str) -> None:
    """IANA names in any case, names of Windows and Rails, cities and clear abbreviations name a zone."""
    assert parse_timezone(name) == zone


@pytest.mark.parametrize(
    "name",
    ["", "CST", "IST", "BST", "GMT+2", "Etc/GMT+2", "UTC+3", "+02:00", "localtime", "Factory", "posixrules", "Germany"],
)
def test_what_can_mean_several_zones_is_none(name: str) -> None:
    """Abbreviations of several places, offsets whose sign has two meanings, and internal names are no zone."""
    assert parse_timezone(name) is None


def test_an_offset_that_contradicts_the_place_is_not_overlooked() -> None:
    """A city counts only with its own standard time before it, at a time of the year without summer time."""
    assert parse_timezone("(UTC+01:00) Berlin") == "Europe/Berlin"
    assert parse_timezone("(UTC+02:00) Berlin") is None
    assert parse_timezone("(UTC+10:00) Sydney") == "Australia/Sydney"
    assert parse_timezone("(UTC+11:00) Sydney") is None


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    """A place within the first 200 characters is found, and not after them."""
    assert parse_timezone("x" * (MAX_CHARACTERS - 7) + ",Berlin") == "Europe/Berlin"
    assert parse_timezone("x" * (MAX_CHARACTERS - 6) + ",Berlin") is None
