import time

import pytest

from email_text.departures import says_closed, says_departed


@pytest.mark.parametrize(
    "text",
    [
        "Olga Price no longer works for Price Lab.",
        "Bob is no longer with the company.",
        "John has left Acme.",
        "Jane has retired.",
        "Ich bin seit dem 1. Oktober im Ruhestand.",
        "Je suis depuis mars à la retraite.",
        "Olen ollut täällä, mutta Pekka on jäänyt eläkkeelle.",
        "Jag är i pension sedan juni.",
        "Jsem již v důchodu.",
        "Jane retired at the end of September and this mailbox is not being read.",
        "I\u2019ve recently retired, please write to bob@x.example.",
        "Herr Kern ist nicht mehr in unserem Unternehmen tätig.",
        "Frau Adler hat unser Haus zum 31.3. verlassen.",
        "Ich arbeite nicht mehr bei Kernguss.",
        "Pierre ne fait plus partie de la société.",
        "Pierre a quitté l'entreprise.",
        "Ya no trabajo en Acme.",
        "A Maria já não trabalha na empresa.",
        "Non lavoro più in Acme.",
        "Jan is niet meer werkzaam bij ons.",
        "Anna arbetar inte längre hos oss.",
        "Anne er ikke lenger ansatt her.",
        "Pan Kowalski nie pracuje już w naszej firmie.",
        "Иван больше не работает в компании.",
        "田中は3月末で退職いたしました。",
        "我已离职",
        "김민수는 퇴사하였습니다.",
        "Ahmet Bey emekli oldu.",
    ],
)
def test_a_departure(text: str) -> None:
    """Automatic messages say in many languages that a person has left."""
    assert says_departed(text)


@pytest.mark.parametrize(
    "text",
    [
        "This mailbox is no longer monitored and will be deactivated.",
        "Dieses Postfach wird nicht mehr gelesen.",
        "Cette adresse n'est plus utilisée.",
    ],
)
def test_a_closed_mailbox(text: str) -> None:
    """Automatic messages say that a mailbox is not read any more."""
    assert says_closed(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I have left the office for today.",
        "I have left for vacation until 3 May.",
        "I am away with no access to my mailbox.",
        "I am on parental leave and will be back in June.",
        "Ich bin bis 3. Mai nicht im Büro.",
        "Ich habe das Büro bereits verlassen und bin am Montag wieder da.",
        "Je suis absent jusqu'au 3 mai.",
        "Estoy fuera de la oficina.",
        "We have received your message.",
    ],
)
def test_an_absence_is_no_departure(text: str) -> None:
    """A person who comes back has not left."""
    assert not says_departed(text)
    assert not says_closed(text)


@pytest.mark.parametrize("piece", ["left the ", "nicht mehr in ", "hat ", "mailbox ", "x"])
def test_hostile_texts(piece: str) -> None:
    """A huge text is read in bounded time."""
    started = time.perf_counter()
    says_departed(piece * (1_000_000 // len(piece)))
    says_closed(piece * (1_000_000 // len(piece)))
    assert time.perf_counter() - started < 2
