import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.suppression import derive_person_key, extract_domain, normalise_address, to_ascii_address


@pytest.mark.parametrize("written", ["ann@acme.example", " Ann@ACME.example ", "ANN@acme.EXAMPLE\n"])
def test_case_and_spaces_do_not_matter(written: str) -> None:
    """An address is the same in any case and with spaces around it."""
    assert normalise_address(written) == "ann@acme.example"


def test_the_domain_is_what_follows_the_last_at() -> None:
    """A quoted local part may contain an at sign; the domain follows the last one."""
    assert extract_domain('"odd@name"@Acme.Example') == "acme.example"


@pytest.mark.parametrize(
    "written",
    [
        *("Ute@BÜCHER.example", "ute@xn--bcher-kva.example", "ute@XN--BCHER-KVA.EXAMPLE"),
        "ute@bu\u0308cher.example",
        *(
            "ute@bücher.example.",
            "\ufeffute@bücher.example\u200b",
            "ute@bücher\u3002example",
            "ute@\uff42ücher.example",
        ),
    ],
)
def test_one_mailbox_has_one_form(written: str) -> None:
    """The Unicode and Punycode, composed and decomposed, narrow and wide spellings of a domain become one form."""
    assert normalise_address(written) == "ute@bücher.example"
    assert to_ascii_address(written) == "ute@xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("K@Straße.de", "k@straße.de"),
        ("a@A_b.xn--mller-kva.de", "a@a_b.müller.de"),
        ("x@I❤.ws", "x@i❤.ws"),
        ("x@xn--zzzzzzzzzz99.de", "x@xn--zzzzzzzzzz99.de"),
        ("Cafe\u0301@acme.example", "café@acme.example"),
        ("@Müller.de", "@müller.de"),
        ("Acme", "acme"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
    ],
)
def test_what_idna_refuses_keeps_its_lower_case_form(written: str, form: str) -> None:
    """German ß is kept, a label that IDNA refuses stays, the local part is composed, and a bare domain is a domain."""
    assert normalise_address(written) == form


@pytest.mark.parametrize(("length", "form"), [(319, "ü"), (320, "ü"), (321, "u\u0308")])
def test_text_too_long_for_an_address_is_not_read_as_one(length: int, form: str) -> None:
    """At 320 characters Unicode is still normalised; a longer text is only lower-cased."""
    domain = "@bu\u0308cher.example"
    written = "a" * (length - len(domain)) + domain
    assert normalise_address(written).endswith(f"@b{form}cher.example")


@given(st.text(max_size=60) | st.emails() | st.tuples(st.text(max_size=10), st.text(max_size=30)).map("@".join))
@settings(max_examples=300)
def test_the_canonical_form_is_stable(text: str) -> None:
    """The canonical form of a canonical form is the same, also by way of Punycode, and a key is its own key."""
    form = normalise_address(text)
    assert normalise_address(form) == form
    assert normalise_address(to_ascii_address(form)) == form
    assert derive_person_key(derive_person_key(text)) == derive_person_key(text)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("Anna+News@x.example", "anna@x.example"),
        ("anna+a+b@x.example", "anna@x.example"),
        ("anna@x.example", "anna@x.example"),
        ("+anna@x.example", "+anna@x.example"),
        ("+anna+b@x.example", "+anna@x.example"),
        ("anna@b+c@x.example", "anna@b@x.example"),
        ("ANNA+b@BÜCHER.example", "anna@bücher.example"),
        ("anna+b@xn--bcher-kva.example", "anna@bücher.example"),
        ("...@gmail.com", "...@gmail.com"),
        ("@googlemail.com", "@googlemail.com"),
        ('"anna+b"@x.example', '"anna+b"@x.example'),
        ("a.nn.a+b@GoogleMail.com", "anna@gmail.com"),
        ("a.nna@mail.gmail.com", "a.nna@mail.gmail.com"),
        ("an.na@x.example", "an.na@x.example"),
        ("@x.example", "@x.example"),
        ("anna", "anna"),
    ],
)
def test_tags_and_gmail_dots_are_no_part_of_a_person(address: str, key: str) -> None:
    """A tag is left out everywhere, dots only at Gmail, and a quoted or empty local part stays."""
    assert derive_person_key(address) == key
