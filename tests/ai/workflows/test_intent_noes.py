# ruff: noqa: RUF001 - Noes in many alphabets.
"""Noes in languages of which no other phrases are known."""

import pytest

from ai.workflows.intent_classification.phrases import has_phrase
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


@pytest.mark.parametrize(("language", "text"), NOES)
def test_a_plain_no_is_known(language: str, text: str) -> None:
    """A person who asks not to be mailed is understood in their language."""
    assert has_phrase("unsubscribe", normalize(text)), language


@pytest.mark.parametrize(("language", "text"), OTHERS)
def test_another_answer_is_no_no(language: str, text: str) -> None:
    """An interested person who uses some of the same words is not unsubscribed."""
    assert not has_phrase("unsubscribe", normalize(text)), language


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
