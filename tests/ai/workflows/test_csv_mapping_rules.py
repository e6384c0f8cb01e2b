"""Each rule by which columns are mapped, on the smallest file that shows it."""

import pytest

from ai.workflows.csv_mapping.columns import read_columns
from ai.workflows.csv_mapping.headers import Topic, read_header
from ai.workflows.csv_mapping.scoring import find_samples, guess_columns
from ai.workflows.csv_mapping.state import SURE, Guess, Target
from ai.workflows.csv_mapping.values import Kind, classify_value

PEOPLE = [
    ["Anja", "Velthaus", "anja.velthaus@brixmere.example", "Brixmere Tools", "Buyer"],
    ["Tendai", "Moyo-Clarke", "tendai.moyoclarke@sunfold.example", "Sunfold", "Head of Sales"],
    ["Ottoline", "Grist", "ottoline.grist@pallmark.example", "Pallmark Ltd", "Director"],
    ["Xanthe", "Quillfeather", "xanthe.quillfeather@dunmoor.example", "Dunmoor Group", "Engineer"],
]
FIRST, LAST, EMAIL, COMPANY, ROLE = ([row[place] for row in PEOPLE] for place in range(5))
FULL = [f"{first} {last}" for first, last in zip(FIRST, LAST, strict=True)]


def guesses(**columns: list[str]) -> list[Guess]:
    """Return the guess for each column, given as header and values; `_` in a header's name stands for a blank."""
    headers = [header.replace("_", " ") for header in columns]
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return guess_columns(read_columns(headers, rows), {})


def targets(**columns: list[str]) -> list[str]:
    """Return the target of each column."""
    return [guess.target.value for guess in guesses(**columns)]


@pytest.mark.parametrize(
    ("header", "topic"),
    [
        ("Contact: Email", Topic.EMAIL),
        ("lead_email_address", Topic.EMAIL),
        ("Person - Name", Topic.NAME),
        ("Organization - Name", Topic.COMPANY),
        ("properties.email", Topic.EMAIL),
        ("KontaktVorname", Topic.FIRST_NAME),
        ("kontaktvorname", Topic.FIRST_NAME),
        ("First Name (Billing)", Topic.FIRST_NAME),
        ("E-mail 1 - Value", Topic.EMAIL),
        ("E-mail 1 - Type", Topic.OTHER),
        ("Adresse e-mail", Topic.EMAIL),
        ("Company Contact Name", Topic.NAME),
        ("Contact Company Name", Topic.COMPANY),
        ("Taille de l'entreprise", Topic.EMPLOYEES),
        ("# Employees", Topic.EMPLOYEES),
        ("Employee ID", Topic.OTHER),
        ("Company ID", Topic.OTHER),
        ("Company Phone", Topic.OTHER),
        ("Email Domain", Topic.OTHER),
        ("Email opt-in", Topic.OTHER),
        ("First Seen", Topic.OTHER),
        ("Last Contacted", Topic.OTHER),
        ("Lead Owner Email", Topic.COLLEAGUE),
        ("Contact Owner", Topic.COLLEAGUE),
        ("Manager", Topic.COLLEAGUE),
        ("Referred by", Topic.COLLEAGUE),
        ("Column 7", Topic.UNNAMED),
        ("", Topic.UNNAMED),
        ("#", Topic.ROW_NUMBER),
        ("Zebra", Topic.UNKNOWN),
    ],
)
def test_what_headers_speak_of(header: str, topic: Topic) -> None:
    """Words of headers compose: what a column holds is told from whose it is, and from what takes that back."""
    assert read_header(header).topic is topic


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("ann@acme.example", Kind.EMAIL),
        ("Ann Lee <ann@acme.example>", Kind.EMAIL),
        ("a@acme.example; b@acme.example", Kind.EMAIL),
        ("https://acme.example/a", Kind.URL),
        ("acme.example", Kind.URL),
        ("+27 21 555 0100", Kind.PHONE),
        ("$1M-$10M", Kind.NUMBER),
        ("0.98", Kind.NUMBER),
        ("1,234", Kind.COUNT),
        ("51-200", Kind.SIZE_RANGE),
        ("10,001+", Kind.SIZE_RANGE),
        ("1K-5K", Kind.SIZE_RANGE),
        ("11 bis 50", Kind.SIZE_RANGE),
        ("51 à 200 salariés", Kind.SIZE_RANGE),
        ("1,001 \u2013 5,000 employees", Kind.SIZE_RANGE),
        ("> 1000", Kind.COUNT),
        ("9" * 5000, Kind.COUNT),
        ("2026-03-04 10:00", Kind.DATE),
        ("12 Sep 2026", Kind.DATE),
        ("Africa/Johannesburg", Kind.TIMEZONE),
        ("US/Eastern", Kind.TIMEZONE),
        ("nein", Kind.ANSWER),
        ("N0g0iyJieU", Kind.IDENTIFIER),
        ("Frau Dr.", Kind.SALUTATION),
        ("Mid-Market", Kind.SIZE_CLASS),
        ("Vertriebsleiterin", Kind.ROLE),
        ("Karoo Wol (Edms) Bpk", Kind.COMPANY),
        ("Thabo", Kind.GIVEN_NAME),
    ],
)
def test_what_values_look_like(value: str, kind: Kind) -> None:
    """One value is known by its form or its words, in several languages."""
    assert kind in classify_value(value)


def test_a_file_without_headers() -> None:
    """Names that no list knows are found beside the addresses that they are part of, and so is the company."""
    assert targets(
        Column_1=["1", "2", "3", "4"], Column_2=FIRST, Column_3=LAST, Column_4=EMAIL, Column_5=COMPANY, Column_6=ROLE
    ) == ["ignore", "firstName", "lastName", "email", "company", "role"]
    assert targets(Column_1=FULL, Column_2=EMAIL) == ["fullName", "email"]


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("Email", ["yes", "no", "yes", "no"]),
        ("Email Status", ["Verified", "Guessed", "Verified", "Unavailable"]),
        ("Email Domain", ["a.example", "b.example", "c.example", "d.example"]),
        ("Company ID", ["81230", "91231", "71232", "61235"]),
        ("Company", ["81230", "91231", "71232", "61235"]),
        ("Title", ["Mr", "Mrs", "Mr", "Ms"]),
        ("Contact Owner", ["Rita Malone", "Sam Ekberg", "Rita Malone", "Rita Malone"]),
        ("Last Activity", ["2026-01-02", "2026-01-03", "2026-01-05", "2026-01-06"]),
        ("First Seen", ["2026-01-02", "2026-01-03", "2026-01-05", "2026-01-06"]),
        ("Manager", ["Vera Stokes", "Glenn Ito", "Paul Abel", "Mia Roe"]),
        ("Assistant", ["Vera Stokes", "Glenn Ito", "Paul Abel", "Mia Roe"]),
        ("Referred by", ["Vera Stokes", "Glenn Ito", "Paul Abel", "Mia Roe"]),
        ("Annual Revenue", ["51-200", "11-50", "1-10", "51-200"]),
        ("Total Funding", ["100000", "200000", "5000", "70000"]),
    ],
)
def test_headers_do_not_win_against_their_values(header: str, values: list[str]) -> None:
    """What only sounds like a lead's own field, or holds something else, is kept as a custom field, and surely so."""
    (guess,) = guesses(**{header: values})
    assert guess.target is Target.CUSTOM
    assert guess.confidence >= SURE


def test_a_name_beside_first_and_last_is_kept_apart() -> None:
    """First and last name are better than the whole; a filled whole is better than blank parts."""
    blank = [""] * 4
    assert targets(Name=FULL, First_Name=FIRST, Last_Name=LAST) == ["custom", "firstName", "lastName"]
    assert targets(Full_Name=FULL, First_Name=FIRST, Last_Name=LAST) == ["custom", "firstName", "lastName"]
    assert targets(Name=FULL, Given_Name=blank, Family_Name=blank)[0] == "fullName"
    assert targets(Name=FULL, First_Name=FIRST) == ["fullName", "firstName"]


def test_whole_names_under_first_name() -> None:
    """Where no column holds last names, whole names are split, whatever their header says."""
    assert targets(First_Name=FULL, Email=EMAIL) == ["fullName", "email"]
    assert targets(First_Name=["Mary Jane", "Jean Luc", "Ana Rosa", "Jo Ann"], Last_Name=LAST)[0] == "firstName"


def test_a_town_beside_a_name_is_no_name() -> None:
    """Next to a first name stands the last name only if given names or the addresses tell so."""
    assert targets(Column_1=["Ulm", "Bonn", "Trier", "Hof"], Column_2=FIRST, Column_3=EMAIL) == [
        "custom",
        "firstName",
        "email",
    ]


def test_a_name_may_be_a_company() -> None:
    """Beside a person's name, or with words that companies bear, `Name` is the company's."""
    assert targets(Name=COMPANY, First_Name=FIRST, Last_Name=LAST, Email=EMAIL)[0] == "company"
    assert targets(Name=["A Ltd", "B GmbH", "C Inc", "D BV"], Contact=FULL) == ["company", "fullName"]
    assert targets(Company_Name=COMPANY, Company_Name_for_Emails=COMPANY) == ["company", "custom"]


def test_segment_is_a_size_class_or_the_number_of_employees() -> None:
    """Words win over counts; counts win where there are no words, and plain ones over ranges."""
    words, counts = ["Enterprise", "SMB", "SMB", "Mid-Market"], ["5,000", "12", "31", "300"]
    ranges = ["51-200", "10,001+", "1-10", "11-50"]
    assert targets(Segment=words, Employees=counts) == ["segment", "custom"]
    assert targets(Employees=counts, Tier=words) == ["custom", "segment"]
    assert targets(Employees=counts, Revenue=counts) == ["segment", "custom"]
    assert targets(Employee_Range=ranges, Employees=counts) == ["custom", "segment"]
    assert targets(Zzz=ranges) == ["segment"]
    assert targets(Segment=["VIP", "Churned", "VIP", "New"], Employees=counts) == ["custom", "segment"]


def test_the_same_few_addresses_are_not_the_leads() -> None:
    """A column in which few addresses come again and again yields to one with an address for each row."""
    many = [f"p{number}.grist@pallmark.example" for number in range(12)]
    assert targets(Inbox=["rita@us.example", "sam@us.example"] * 6, Address=many) == ["custom", "email"]


def test_columns_without_values() -> None:
    """They are kept, because values may follow below the samples; only what has no header either is left out."""
    blank = [""] * 4
    assert targets(Fax=blank, Zzz=blank, Email=EMAIL, Email_2=blank) == ["custom", "custom", "email", "custom"]
    assert targets(Email=EMAIL, Column_2=blank) == ["email", "ignore"]
    assert targets(Email=EMAIL, Company=blank) == ["email", "company"]


def test_addresses_of_colleagues_are_better_than_none() -> None:
    """Without other addresses a colleague's are suggested with low confidence, so that a user reviews them."""
    (only,) = guesses(Lead_Owner_Email=EMAIL)
    assert (only.target, only.confidence < SURE) == (Target.EMAIL, True)
    assert targets(Lead_Owner_Email=EMAIL, Email=EMAIL) == ["custom", "email"]
    assert targets(Email=["none", "-", "n/a", "ask", "see crm", "a@x.example"]) == ["email"]


def test_a_full_set_of_targets_leaves_nothing_to_ask() -> None:
    """Text that nothing is known of is unsure while a name, a title or a company is missing, and only then."""
    words = ["blue", "green", "red", "grey"]
    assert guesses(Zzz=words)[0].confidence < SURE
    every = guesses(Zzz=words, First_Name=FIRST, Last_Name=LAST, Email=EMAIL, Company=COMPANY, Role=ROLE)
    assert every[0].target is Target.CUSTOM
    assert min(guess.confidence for guess in every) >= SURE


def test_samples_are_those_that_convinced() -> None:
    """Shown are values of the form that decided, not just the first three."""
    (column,) = read_columns(["Email"], [["see notes"], [""], ["a@x.example"], ["a@x.example"], ["b@x.example"]])
    assert find_samples(column, Target.EMAIL) == ("a@x.example", "b@x.example")
    assert find_samples(column, Target.CUSTOM) == ("a@x.example", "b@x.example")


def test_a_persons_decision_frees_what_it_does_not_take() -> None:
    """Where a person took the address column for something else, the next address column is the lead's."""
    columns = read_columns(["Email", "Other mail"], [["a@x.example", "b@y.example"]] * 3)
    settled = {0: Guess(target=Target.IGNORE, confidence=1.0, decided_by="person")}
    assert [guess.target for guess in guess_columns(columns, settled)] == [Target.IGNORE, Target.EMAIL]


def test_a_very_wide_file_is_looked_at_in_fewer_rows() -> None:
    """The number of cells looked at is bounded, and never less than forty rows."""
    row = ["x"] * 500
    assert {len(column.cells) for column in read_columns(row, [row] * 200)} == {40}
    assert len(read_columns(["a"], [["x"]] * 200)[0].cells) == 200
