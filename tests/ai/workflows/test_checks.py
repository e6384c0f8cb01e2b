"""What the checks refuse in a model's text, sentence by sentence, and what they let pass."""

import pytest

from ai.workflows.email_generation import rendering
from ai.workflows.email_generation.answers import written
from ai.workflows.email_generation.checks import problems_of
from ai.workflows.email_generation.links import links_in, shows, tricks_in
from ai.workflows.email_generation.state import (
    EarlierMessage,
    EmailGenerationInput,
    LeadFacts,
    Sender,
    Sentence,
    WrittenEmail,
)

LINK = "https://acme.example/demo?ref=a"


def request(*directions: str, **changes: object) -> EmailGenerationInput:
    """Return a request with earlier messages of these directions."""
    values: dict[str, object] = {
        "subject_template": "Quieter engines",
        "body_template": f"Hi {{{{ first_name }}}}, our engines run 30 % quieter. See {LINK} or call 021 555 0100.",
        "lead": LeadFacts(
            first_name="Ada",
            last_name="O'Hara",
            company="Engines Ltd",
            role="Captain",
            custom_fields={"News": "opened a second shipyard in Cork", "Ships": "12"},
        ),
        "sender": Sender(name="Kim Osei", email="kim@acme.example"),
        "workspace_name": "Acme",
        "earlier_messages": [
            EarlierMessage.model_validate({"direction": d, "subject": "Engines", "text": "Loud ships"})
            for d in directions
        ],
    }
    return EmailGenerationInput.model_validate({**values, **changes})


def problems(
    text: str, *sources: str, of: EmailGenerationInput | None = None, subject: str = "Quieter engines"
) -> list[str]:
    """Return what the checks find in an answer of one sentence."""
    asked = of or request()
    answer = WrittenEmail(subject=subject, paragraphs=[[Sentence(text=text, sources=list(sources))]])
    return problems_of(written(answer, ""), asked, rendering.rendered(asked, rendering.variables_of(asked)))


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("See https://acme.example/demo?ref=b", ["template"]),
        ("See https://acme.example/demo", ["template"]),
        ("See acme.example/prices", ["template"]),
        ("See WWW.EVIL.EXAMPLE", []),
        ("Write to mailto:kim@other.example", []),
        ("Write to kim@other.example", []),
        ("See https://аcme.example/demo?ref=a", ["template"]),  # noqa: RUF001 - the disguise itself
        ("See https://acme。example.evil.example", []),
        ("See evil dot com", []),
        ("See evil[.]com", []),
        ("See hxxps://evil.com", []),
        ("See [this](https://acme.example/demo?ref=a)", ["template"]),
        ("See <a href='https://acme.example/demo?ref=a'>this</a>", ["template"]),
        ("See 192.168.10.1/x", []),
        ("Call 021 555 0199", ["template"]),
        ("Call +27 (21) 555-0199", ["template"]),
    ],
)
def test_links_that_the_template_does_not_have(text: str, sources: list[str]) -> None:
    """Another query, host, address, number or alphabet is another link; words and markup do not hide one."""
    assert any("not in the template" in problem for problem in problems(text, *sources))


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        (f"See {LINK}.", ["template"]),
        ("See https://ACME.example/demo?ref=a!", ["template"]),
        ("Call 021 555 0100", ["template"]),
        ("Write to kim@acme.example", ["sender"]),
        ("That is acme.example, e.g. for engines, i.e. for you.", ["template"]),
        ("Engines run quieter.Really.", ["template"]),
    ],
)
def test_links_that_the_template_has(text: str, sources: list[str]) -> None:
    """The template's own links and numbers, the sender's address and host, and ordinary points pass."""
    assert problems(text, *sources) == []


@pytest.mark.parametrize(
    ("text", "sources", "directions"),
    [
        ("Congratulations on the second shipyard in Cork!", ["custom.news"], []),
        ("I saw that you opened a second shipyard in Cork.", ["custom.news"], []),
        ("You sail 12 ships.", ["custom.ships"], []),
        ("Captain O'Hara, may I show you one?", ["lead.role"], []),
        ("I wrote to you about engines.", ["earlier_messages"], ["sent"]),
        ("Thank you for your reply about the loud ships.", ["earlier_messages"], ["sent", "received"]),
        ("It would be great to speak with you.", [], []),
        ("I would be glad to answer your questions.", [], []),
        ("Could we talk next week, perhaps on Tuesday?", [], []),
        ("Our engines are 30 percent quieter.", ["template"], []),
        ("Ada's crew at Engines Ltd could sleep again.", ["template"], []),
        ("If you are hiring or growing, noise may be the least of your worries.", [], []),
    ],
)
def test_what_is_supported_passes(text: str, sources: list[str], directions: list[str]) -> None:
    """News that a field holds, contact that was, offers, hedges and the template's figures may be written."""
    assert problems(text, *sources, of=request(*directions)) == []


@pytest.mark.parametrize(
    ("text", "sources", "directions"),
    [
        ("Congratulations on the second shipyard in Cork!", [], []),
        ("I saw that you opened a second shipyard in Cork.", ["lead.company"], []),
        ("I saw that you opened a third shipyard in Kerry.", ["custom.news"], []),
        ("You sail 13 ships.", ["custom.ships"], []),
        ("You sail twelve dozen ships.", ["lead.role"], []),
        ("Your fleet is ageing and your crews complain.", ["custom.ships"], []),
        ("I wrote to you about engines.", [], []),
        ("Thank you for your reply.", ["earlier_messages"], ["sent"]),
        ("Thank you for your reply.", ["earlier_messages"], []),
        ("As discussed, here is the offer.", [], ["sent"]),
        ("Our mutual friend said you may like it.", [], []),
        ("Our engines are 40 percent quieter.", ["template"], []),
        ("Maersk uses our engines, as does Hapag.", ["template"], []),
        ("Ihr Unternehmen hat kürzlich stark expandiert.", [], []),
        ("Ek het gesien dat julle 'n toekenning gewen het.", [], []),
        ("Félicitations pour votre levée de fonds.", [], []),
    ],
)
def test_what_is_not_supported_is_refused(text: str, sources: list[str], directions: list[str]) -> None:
    """News without its field, wrong or strange figures, contact that was not, and customers of the model's own."""
    assert problems(text, *sources, of=request(*directions)) != []


@pytest.mark.parametrize("source", ["lead.segment", "custom.city", "earlier_messages", "internet"])
def test_a_source_must_exist(source: str) -> None:
    """A blank field, one that the lead does not have, and a source that there never was support nothing."""
    assert any(source in problem for problem in problems("Our engines are quiet.", source))


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("RE: Quieter engines", "Our engines are quiet."),
        ("Fwd: engines", "Our engines are quiet."),
        ("AW: engines", "Our engines are quiet."),
        ("QUIET ENGINES NOW", "Our engines are quiet."),
        ("Quieter engines", "Our engines are quiet!!!"),
        ("Quieter engines", "Act now, this is 100 % free."),
        ("Quieter engines", "Jetzt zugreifen, garantiert ohne Risiko."),
        ("Quieter engines", "Moenie dit misloop nie, klik hier."),
        ("Quieter engines", "Dépêchez-vous, cliquez ici."),
    ],
)
def test_spam_is_refused(subject: str, text: str) -> None:
    """Faked answers, shouting, piled marks and advertisers' cries, in four languages."""
    assert problems(text, "template", subject=subject) != []


def test_what_the_author_wrote_is_no_spam() -> None:
    """Phrases and capitals of the template are its author's choice; an answer within a thread may say so."""
    asked = request("sent", body_template="Hi {{ first_name }}, our ENGINES ARE QUIET: guaranteed.")
    assert problems("Our ENGINES ARE QUIET, guaranteed.", "template", of=asked, subject="Re: engines") == []


def test_links_are_seen_as_a_program_sees_them() -> None:
    """Wide letters and invisible signs do not hide a link; dates, sums and abbreviations are none."""
    assert links_in("\uff45vil\u200b.com and x.example") == ["evil.com", "x.example"]
    assert links_in("e.g. z.B. U.S. 3.5 v2.0 Dr.med. a.m. ready.It") == []
    assert tricks_in("on 2026-11-23, 23.11.2026 or 1 000 000 000 for 3.500.000 Euro") == []


@pytest.mark.parametrize(
    "junk",
    [
        "<a " * 9_000,
        "<div>" * 9_000,
        "<!--" * 9_000,
        "a." * 9_000,
        "a@" * 9_000,
        '<a href="' * 9_000,
        "1 " * 9_000,
        "[" * 9_000,
    ],
)
def test_junk_holds_no_link(junk: str) -> None:
    """Unclosed tags and endless hosts are read to their end and lead nowhere."""
    assert not shows(junk, LINK)
    assert LINK not in links_in(junk)
    assert LINK not in tricks_in(junk)
