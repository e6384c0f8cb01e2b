import pytest

from tests.api.importing import Imports

pytestmark = pytest.mark.anyio

FILE = """\
First Name,Last Name,Email,Company,Title,City
Anna,Bell,a@x.example,Acme,CEO,Ulm
N/A,-,b@x.example,#N/A,null,(blank)
Jennifer,Null,c@x.example,Nullpunkt GmbH,Buyer,-
null,null,d@x.example,None,???,unbekannt
Nan,Infinity,e@x.example,Infinity Ltd,CEO,Bonn
JOHN,NULL,f@x.example,Blank,Head,0
Li,null,g@x.example,3M,Owner,k.A.
"""


async def test_words_for_a_missing_value_are_blank_and_names_stay(imports: Imports) -> None:
    """Cells that only say that there is no value fill no field; a surname Null, a first name Nan and `0` stay."""
    done = await imports.imported(FILE)
    assert done["newCount"] == 7
    leads = {address.partition("@")[0]: lead for address, lead in (await imports.leads()).items()}
    fields = ("firstName", "lastName", "company", "role")
    found = {key: (*(lead[field] for field in fields), lead["customFields"].get("City")) for key, lead in leads.items()}
    assert found == {
        "a": ("Anna", "Bell", "Acme", "CEO", "Ulm"),
        "b": ("", "", "", "", None),
        "c": ("Jennifer", "Null", "Nullpunkt GmbH", "Buyer", None),
        "d": ("", "", "", "", None),
        "e": ("Nan", "Infinity", "Infinity Ltd", "CEO", "Bonn"),
        "f": ("JOHN", "NULL", "Blank", "Head", "0"),
        "g": ("Li", "", "3M", "Owner", None),
    }
