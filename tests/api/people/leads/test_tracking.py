"""The country of a lead, as far as its row says."""

import pytest

from api.people.leads.tracking import find_country
from database.models import Lead


@pytest.mark.parametrize(
    ("fields", "timezone", "email", "country"),
    [
        ({"Country": "Germany"}, "Africa/Johannesburg", "a@b.co.za", "DE"),
        ({"country": "de"}, None, "a@b.com", "DE"),
        ({"Company Country": "DEU"}, None, "a@b.com", "DE"),
        ({"Land": "Österreich"}, None, "a@b.com", "AT"),
        ({"País": "España"}, None, "a@b.com", "ES"),
        ({"Country": "UK"}, None, "a@b.com", "GB"),
        ({"Country": "The Netherlands"}, None, "a@b.com", "NL"),
        ({"Country": "South Africa"}, "Europe/Berlin", "a@b.de", "ZA"),
        ({"Country": "Nowhere"}, "Europe/Berlin", "a@b.com", "DE"),
        ({"Country": ""}, None, "a@b.fr", "FR"),
        ({"Country": 7, "Country 2": "France"}, None, "a@b.com", "FR"),
        ({"City": "Germany"}, None, "a@b.com", None),
        ({}, "Africa/Johannesburg", "a@b.de", "ZA"),
        ({}, "Europe/Kiev", "a@b.com", "UA"),
        ({}, "Europe/Belfast", "a@b.com", "GB"),
        ({}, "UTC", "a@b.fr", "FR"),
        ({}, "Etc/GMT+2", "a@b.com", None),
        ({}, None, "a@b.co.uk", "GB"),
        ({}, None, "a@b.eu", "EU"),
        ({}, None, "a@b.io", None),
        ({}, None, "a@b.zz", None),
        ({}, None, "a@b.berlin", None),
        ({}, None, "a@b.com", None),
    ],
)
def test_the_country_of_a_lead(
    fields: dict[str, object], timezone: str | None, email: str, country: str | None
) -> None:
    """A custom field that names a country decides, else the time zone, else the end of the address."""
    assert find_country(Lead(custom_fields=fields, timezone=timezone, email=email)) == country
