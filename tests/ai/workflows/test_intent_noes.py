# ruff: noqa: RUF001 - Noes in many alphabets.
"""Noes in languages of which no other phrases are known."""

from datetime import date

import pytest

from ai.workflows.intent_classification.phrases import has_phrase
from ai.workflows.intent_classification.rules import classify_personal
from ai.workflows.intent_classification.state import Intent
from ai.workflows.intent_classification.wording import MAX_CHARACTERS, normalize

NOES = [
    ("it", "Buongiorno, vi prego di cancellarmi: rimuovetemi dalla vostra lista. Grazie"),
    ("it", "Non desidero ricevere altre e-mail da parte vostra."),
    ("it", "Per favore non scrivetemi più."),
    ("sv", "Hej, ta bort mig från er lista tack."),
    ("sv", "Vi vill inte ha fler mejl från er."),
    ("da", "Fjern mig venligst fra jeres liste."),
    ("da", "Vi ønsker ikke at modtage flere mails fra jer."),
    ("no", "Vennligst slett meg fra listen deres."),
    ("no", "Jeg ønsker ikke å motta flere e-poster fra dere."),
    ("fi", "Poistakaa minut postituslistaltanne, kiitos."),
    ("fi", "En halua enää sähköposteja teiltä."),
    ("pl", "Proszę usunąć mnie z listy."),
    ("pl", "Nie chcemy otrzymywać od Państwa więcej wiadomości."),
    ("pl", "Prosimy nie pisać do nas więcej."),
    ("cs", "Prosím, vyřaďte mě z vašeho seznamu."),
    ("cs", "Nepřeji si dostávat další e-maily."),
    ("sk", "Prosím, odhláste ma z odberu."),
    ("sk", "Neželám si dostávať ďalšie e-maily."),
    ("hu", "Kérem, töröljön a listájáról."),
    ("hu", "Ne küldjenek több levelet."),
    ("ro", "Vă rog să mă dezabonați."),
    ("ro", "Nu mai doresc să primesc e-mailuri de la dumneavoastră."),
    ("tr", "Lütfen beni listenizden çıkarın."),
    ("tr", "Bana bir daha e-posta göndermeyin lütfen."),
    ("ru", "Пожалуйста, удалите меня из рассылки."),
    ("ru", "Больше не пишите мне."),
    ("ru", "Мы не хотим получать ваши сообщения."),
    ("uk", "Будь ласка, видаліть мене зі списку."),
    ("uk", "Більше не надсилайте листів."),
    ("bg", "Моля, премахнете ме от списъка."),
    ("el", "Παρακαλώ διαγράψτε με από τη λίστα σας."),
    ("el", "Μην μου στέλνετε άλλα μηνύματα."),
    ("he", "אנא הסירו אותי מרשימת התפוצה."),
    ("ar", "أرجو إلغاء الاشتراك، لا ترسلوا المزيد."),
    ("ja", "今後のメール配信を停止してください。"),
    ("ja", "営業メールはご遠慮ください。"),
    ("ja", "リストから削除してください。"),
    ("zh", "请不要再给我发邮件。"),
    ("zh", "請將我從名單中移除。"),
    ("zh", "我要退订。"),
    ("ko", "더 이상 메일을 보내지 마세요."),
    ("ko", "수신 거부합니다."),
    ("ko", "저를 명단에서 삭제해 주세요."),
]
OTHERS = [
    ("en", "We stop all projects from mid-November until the festive season is over. Write to me again in February."),
    ("it", "Interessante, ci mandi la lista dei prezzi per favore."),
    ("it", "Abbiamo cancellato la riunione di domani, possiamo sentirci venerdì?"),
    ("sv", "Skicka gärna mer information till mig, vi vill ha ett möte."),
    ("da", "Ja tak, send gerne flere oplysninger om jeres liste over priser."),
    ("no", "Det høres bra ut, ta kontakt med meg neste uke."),
    ("fi", "Kiinnostaa, lähettäkää lisätietoja minulle."),
    ("pl", "Proszę przesłać mi ofertę na przyszły tydzień."),
    ("cs", "Pošlete mi prosím další informace a ceník."),
    ("hu", "Érdekel, kérem küldjön több információt."),
    ("ro", "Suntem interesați, trimiteți-ne lista de prețuri."),
    ("tr", "İlgileniyoruz, lütfen bize fiyat listesini gönderin."),
    ("ru", "Интересно, пришлите мне прайс, отпишитесь по срокам."),
    ("uk", "Цікаво, надішліть мені більше інформації."),
    ("el", "Ενδιαφέρομαι, στείλτε μου τη λίστα τιμών."),
    ("he", "מעוניין, שלחו לי את הרשימה."),
    ("ar", "نحن مهتمون، أرسلوا لنا قائمة الأسعار."),
    ("ja", "興味があります。資料をメールでお送りください。"),
    ("ja", "ご連絡ありがとうございます。来週お電話ください。"),
    ("zh", "很感兴趣,请给我发一份价目表。"),
    ("ko", "관심 있습니다. 가격 목록을 메일로 보내 주세요."),
]

FOR_ANOTHER = [
    "Ms Meyer asks not to be contacted again.",
    "Please stop writing to Anna.",
    "please stop writing to anna@kunde.example",
    "Mr Meyer does not wish to receive any more emails.",
    "Anna has asked to be taken off your list.",
    "Anna would like to be removed.",
    "My boss does not want to be contacted.",
    "She asked me to tell you not to contact her again.",
    "Dr Meyer has no interest and asks you to refrain from further contact.",
    "Kindly leave Ms Meyer alone.",
    "Please remove Anna from your list.",
    "Please do not contact Mr Smith any more.",
    "Ms Meyer wants no more of your mails.",
    "Ms Meyer requests that you delete her data.",
    "Frau Meyer möchte nicht mehr kontaktiert werden.",
    "Frau Meyer bittet, von weiteren Nachrichten abzusehen.",
    "Bitte schreiben Sie Frau Meyer nicht mehr an.",
    "Bitte schreiben Sie Anna keine Mails mehr.",
    "Herr Meyer wünscht keinen weiteren Kontakt.",
    "Mme Meyer ne souhaite plus être contactée.",
    "Merci de ne plus écrire à Mme Meyer.",
    "Veuillez retirer Anna de votre liste.",
    "Mevrouw Meyer wil niet meer gecontacteerd worden.",
    "Gelieve Anna niet meer te mailen.",
    "Schrijf Anna alsjeblieft niet meer.",
    "La señora Meyer pide que no la contacten más.",
    "Por favor, no escriban más a Anna.",
    "La signora Meyer chiede di non essere più contattata.",
    "Per favore non scrivete più ad Anna.",
    "A senhora Meyer pede para não ser mais contactada.",
    "Por favor, não escrevam mais para a Anna.",
    "Pani Meyer prosi, aby się z nią więcej nie kontaktować.",
    "Proszę nie pisać więcej do Anny.",
    "Mev Meyer vra om nie weer gekontak te word nie.",
    "Moet asseblief nie meer aan Anna skryf nie.",
    "Fru Meyer önskar inte bli kontaktad igen.",
    "Fru Meyer ønsker ikke at blive kontaktet igen.",
    "Fru Meyer ønsker ikke å bli kontaktet igjen.",
    "Rouva Meyer ei halua enää yhteydenottoja.",
    "Paní Meyerová si nepřeje být dále kontaktována.",
    "Meyer Hanım bir daha aranmak istemiyor, lütfen yazmayın.",
    "Госпожа Мейер просит больше ей не писать.",
    "マイヤーは今後のご連絡を希望しておりません。",
]
"""Noes that a colleague or an assistant passes on."""
OTHERS_FOR_ANOTHER = [
    "Ms Meyer asks when you can call.",
    "Anna has asked me to contact you.",
    "Mr Meyer asks you to contact him again in May.",
    "Ms Meyer asks not to be called before ten.",
    "Anna is the right person, please write to her.",
    "Please contact Ms Meyer again.",
    "Frau Meyer möchte kontaktiert werden.",
    "Frau Meyer bittet um Rückruf.",
    "Mme Meyer souhaite être contactée.",
    "Mevrouw Meyer wil gecontacteerd worden.",
    "La señora Meyer pide que la contacten.",
    "La signora Meyer chiede di essere contattata.",
    "A senhora Meyer pede para ser contactada.",
    "Pani Meyer prosi o kontakt.",
]
WITHDRAWN = [
    "Nie wyrażałam zgody na otrzymywanie informacji handlowych.",
    "Żądam zaprzestania przetwarzania moich danych w celach marketingowych (RODO).",
    "Cofamy naszą zgodę.",
    "Revoco il mio consenso.",
    "Retiro mi consentimiento.",
    "Retiro o meu consentimento.",
    "Odvolávám svůj souhlas.",
    "Odvolávam svoj súhlas.",
    "Jag återkallar mitt samtycke.",
    "Jeg trækker mit samtykke tilbage.",
    "Jeg trekker samtykket mitt tilbake.",
    "Visszavonom a hozzájárulásomat.",
    "Îmi retrag consimțământul.",
    "Peruutan suostumukseni.",
    "Отзываю своё согласие.",
    "Відкликаю свою згоду.",
    "Ich widerrufe meine Einwilligung.",
    "Je retire mon consentement.",
    "Ik trek mijn toestemming in.",
    "I withdraw my consent.",
    "Me opongo al tratamiento de mis datos.",
    "Mi oppongo al trattamento dei miei dati.",
]
SUBJECTS = [
    *("BAJA", "Baja, por favor", "Désabonnement", "Abmelden", "afmelden", "descadastrar", "Disiscrizione", "Wypisz"),
    *("rezygnacja", "Avregistrera", "Afmeld", "Avmeld", "Poista", "Odhlásit", "Odhlásiť", "Leiratkozás", "Dezabonare"),
    *("Отписаться", "Відписатися", "Uitteken", "STOP"),
]


@pytest.mark.parametrize(("language", "text"), NOES)
def test_a_plain_no_is_known(language: str, text: str) -> None:
    """A person who asks not to be mailed is understood in their language."""
    assert has_phrase("unsubscribe", normalize(text)), language


@pytest.mark.parametrize(("language", "text"), OTHERS)
def test_another_answer_is_no_no(language: str, text: str) -> None:
    """An interested person who uses some of the same words is not unsubscribed."""
    assert not has_phrase("unsubscribe", normalize(text)), language


def is_no(text: str, subject: str = "Re: Routes") -> bool:
    """Return whether a person's reply to a mail with the subject `Routes` is a no."""
    verdict, is_automatic = classify_personal(text, subject, date(2026, 10, 26), "Routes")
    return verdict is not None and verdict.label is Intent.UNSUBSCRIBE and not is_automatic


@pytest.mark.parametrize("text", [*FOR_ANOTHER, *WITHDRAWN])
def test_a_no_for_another_person_or_by_law(text: str) -> None:
    """A no that another person passes on, and a consent that is withdrawn, are a no."""
    assert is_no(f"{text}\n")


@pytest.mark.parametrize("text", OTHERS_FOR_ANOTHER)
def test_a_wish_of_another_person(text: str) -> None:
    """A person who passes on the wish to be contacted says no no."""
    assert not is_no(f"{text}\n")


@pytest.mark.parametrize("word", SUBJECTS)
def test_a_no_in_the_subject_alone(word: str) -> None:
    """One word before the subject of our mail, above an empty body, is a no."""
    assert is_no(" \n", f"{word} Re: Routes")


def test_other_scripts_count_beside_latin_words() -> None:
    """A no in Cyrillic is found above a signature in English."""
    text = (
        "Больше не пишите мне.\n\nIvan Petrov, Head of Sales at the company, with our best regards to you and the team"
    )
    assert has_phrase("unsubscribe", normalize(text))


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["今後", "メール", "从", "не ", "보내지 ", "ne ", "mig "])
def test_hostile_repetitions_take_little_time(text: str) -> None:
    """The first words of a phrase, repeated up to the limit, do not make the search slow."""
    has_phrase("unsubscribe", normalize(text * MAX_CHARACTERS))
