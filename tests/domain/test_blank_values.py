import pytest

from domain.blank_values import MAX_CHARACTERS, is_blank, is_blank_first_name, is_blank_last_name


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\xa0",
        "\u200b",
        "\ufeff",
        "\u2060ㅤ",
        "-",
        "--",
        "—",
        ".",
        "???",
        "/",
        "N/A",
        "n/a",
        "#N/A",
        "NULL",
        "(blank)",
        "None",
        "k.A.",
        "keine Angabe",
        "inconnu",
        "onbekend",
        "desconocido",
        "não informado",
        "nessuno",
        "unknown",
        "\u200bN/A\u200b",
        "-" * (MAX_CHARACTERS + 1),
        "\u200b" * 10000,
    ],
)
def test_a_text_that_stands_for_nothing_is_blank(text: str) -> None:
    """Texts that show nothing, only marks, and words for a missing value are blank."""
    assert is_blank(text)


@pytest.mark.parametrize(
    "text",
    [
        "Al",
        "O",
        "3M",
        "0",
        "李",
        "Ñ",
        "😀",
        "Blank",
        "Empty",
        "Test",
        "Nullpunkt",
        "None Bakery",
        "Ann N/A",
        "7-Eleven",
        "x" * (MAX_CHARACTERS - 1),
        "x" * MAX_CHARACTERS,
        "x" * (MAX_CHARACTERS + 1),
    ],
)
def test_a_text_that_says_something_is_not_blank(text: str) -> None:
    """Short names, digits, other scripts, an emoji, and words beside a word for a missing value are not blank."""
    assert not is_blank(text)


@pytest.mark.parametrize(
    ("name", "is_missing"),
    [
        ("Nan", False),
        ("Na", False),
        ("nan", True),
        ("NaN", True),
        ("NA", True),
        ("Null", True),
        ("null", True),
        ("None", True),
        ("-", True),
        ("True", False),
        ("Will", False),
    ],
)
def test_a_first_name_is_missing_unless_it_is_written_like_a_name(name: str, is_missing: bool) -> None:
    """`Nan` and `Na` are first names; `Null` in a column of first names is no name."""
    assert is_blank_first_name(name) is is_missing


@pytest.mark.parametrize(
    ("first_name", "last_name", "is_missing"),
    [
        ("Jennifer", "Null", False),
        ("", "Null", False),
        ("JENNIFER", "NULL", False),
        ("jennifer", "null", False),
        ("Jennifer", "null", True),
        ("Jennifer", "NULL", True),
        ("NULL", "NULL", True),
        ("null", "null", True),
        ("", "null", True),
        ("A", "NULL", True),
        ("True", "None", False),
        ("Li", "Na", False),
        ("Ann", "N/A", True),
        ("Ann", "-", True),
        ("Ann", "Test", False),
    ],
)
def test_a_surname_that_is_a_word_for_nothing_stays(first_name: str, last_name: str, is_missing: bool) -> None:
    """A surname such as Null stays where it has a capital letter or the same case as the first name before it."""
    assert is_blank_last_name(last_name, first_name) is is_missing
