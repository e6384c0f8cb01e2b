# ruff: noqa: RUF001 - Notes in many alphabets.

import time
from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from ai.workflows.intent_classification.absence_words import load_languages, load_months
from ai.workflows.intent_classification.automatic import has_automatic_subject, is_absence_note, says_automatic
from ai.workflows.intent_classification.date_order import SentAt, read_sent_at
from ai.workflows.intent_classification.dates import (
    MAX_SENTENCE_CHARACTERS,
    MAX_SENTENCES,
    find_return,
    find_return_date,
)

MONDAY = date(2026, 10, 26)
US, UTC_ZONE, BERLIN = timedelta(hours=-5), timedelta(0), timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Ik ben afwezig t/m vrijdag 30 oktober en vanaf maandag 2 november weer bereikbaar.", date(2026, 11, 2)),
        (
            "Je suis absent jusqu'au 30 octobre inclus. À partir du lundi 2 novembre, je serai de nouveau joignable.",
            date(2026, 11, 2),
        ),
        ("ich bin ab dem 2. November wieder für Sie da.", date(2026, 11, 2)),
        (
            (
                "Estaré fuera de la oficina desde el 26 de octubre hasta el 1"
                " de noviembre. A partir del 2 de noviembre estaré de nuevo disponible."
            ),
            date(2026, 11, 2),
        ),
        ("Estaré de vacaciones del 26 de octubre al 2 de noviembre.", date(2026, 11, 2)),
        ("Vuelvo el próximo lunes.", date(2026, 11, 2)),
        ("Estou de férias até 30 de outubro, inclusive. Regresso a 2 de novembro.", date(2026, 11, 2)),
        ("Sono in ferie dal 26 ottobre al 1 novembre compreso. Rientro lunedì 2 novembre.", date(2026, 11, 2)),
        ("Sarò assente fino al 2 novembre.", date(2026, 11, 2)),
        ("Sono fuori ufficio fino al 1° novembre compreso.", date(2026, 11, 2)),
        ("Jag är på semester och åter den 2 november.", date(2026, 11, 2)),
        ("Jag är ledig t.o.m. 1 november.", date(2026, 11, 2)),
        ("Jeg er på ferie til og med 1. november og er tilbage mandag d. 2. november.", date(2026, 11, 2)),
        ("Jeg har ferie frem til 2. november.", date(2026, 11, 2)),
        ("Jeg er tilbake på kontoret mandag 2.11.", date(2026, 11, 2)),
        ("olen lomalla ja palaan töihin 2.11.2026.", date(2026, 11, 2)),
        ("Olen lomalla 1.11. asti.", date(2026, 11, 2)),
        ("Olen poissa 26.10.–1.11. Palaan maanantaina 2. marraskuuta.", date(2026, 11, 2)),
        ("do 30 października przebywam na urlopie. Wracam 2 listopada.", date(2026, 11, 2)),
        ("Do 1 listopada włącznie jestem na urlopie.", date(2026, 11, 2)),
        ("Od poniedziałku 2 listopada będę ponownie dostępna.", date(2026, 11, 2)),
        ("Jsem na dovolené do 1. listopadu včetně. Zpět budu 2. listopadu.", date(2026, 11, 2)),
        ("Od 2. 11. budu opět k dispozici.", date(2026, 11, 2)),
        ("Som na dovolenke do 1. novembra vrátane. Vrátim sa 2. novembra.", date(2026, 11, 2)),
        ("November 1-ig szabadságon vagyok.", date(2026, 11, 2)),
        ("Szabadságon vagyok, november 2-án térek vissza.", date(2026, 11, 2)),
        ("2026. november 2-től ismét elérhető vagyok.", date(2026, 11, 2)),
        ("Sunt în concediu până pe 1 noiembrie inclusiv. Revin luni, 2 noiembrie.", date(2026, 11, 2)),
        ("1 Kasım'a kadar izindeyim. 2 Kasım 2026 Pazartesi günü döneceğim.", date(2026, 11, 2)),
        ("2 Kasım'dan itibaren tekrar ofiste olacağım.", date(2026, 11, 2)),
        ("Я в отпуске по 1 ноября включительно. Вернусь 2 ноября.", date(2026, 11, 2)),
        ("Нахожусь в отпуске с 26 октября по 1 ноября.", date(2026, 11, 2)),
        ("Буду на месте с понедельника, 2 ноября.", date(2026, 11, 2)),
        ("Я у відпустці до 1 листопада включно. Повернуся 2 листопада.", date(2026, 11, 2)),
        ("Απουσιάζω έως και 1 Νοεμβρίου. Επιστρέφω τη Δευτέρα 2 Νοεμβρίου.", date(2026, 11, 2)),
        ("11月1日まで休暇をいただいております。11月2日(月)より復帰いたします。", date(2026, 11, 2)),
        ("11月1日まで休暇をいただいております。", date(2026, 11, 2)),
        ("10月26日から11月1日まで不在です。", date(2026, 11, 2)),
        ("１１月２日に出社いたします。", date(2026, 11, 2)),
        ("2026年10月26日（月）から2026年11月1日（日）まで休業とさせていただきます。", date(2026, 11, 2)),
        ("10/26(月)~11/1(日)の間、休暇をいただいております。", date(2026, 11, 2)),
        ("2026年10月26日（月）から2026年11月1日（月）まで休業とさせていただきます。", None),
        ("来週月曜日に戻ります。", date(2026, 11, 2)),
        ("我将于10月26日至11月1日休假,11月2日返回。", date(2026, 11, 2)),
        ("本人休假至11月1日,11月2日(周一)恢复上班。", date(2026, 11, 2)),
        ("我休假到2026年11月2日。", date(2026, 11, 2)),
        ("10월 26일부터 11월 1일까지 휴가입니다. 11월 2일(월)에 복귀합니다.", date(2026, 11, 2)),
        ("11월 1일까지 부재중입니다.", date(2026, 11, 2)),
        ("אני בחופשה עד 1 בנובמבר כולל. אחזור ב-2 בנובמבר.", date(2026, 11, 2)),
        ("أنا في إجازة حتى 1 نوفمبر. سأعود يوم الاثنين 2 نوفمبر.", date(2026, 11, 2)),
        ("سأعود في ٢ نوفمبر ٢٠٢٦.", date(2026, 11, 2)),
        ("I'm away, back on Tuesday 03/11/2026.", date(2026, 11, 3)),
        ("I am out of office from 26 October until 2 November", date(2026, 11, 2)),
        ("I'll be out October 26 - 30 and return November 2.", date(2026, 11, 2)),
        ("Out of office Oct 26–Nov 2", date(2026, 11, 2)),
        ("I am out of the office through Friday, October 30.", date(2026, 10, 31)),
        ("I return in one week.", date(2026, 11, 2)),
        ("Back in two weeks", date(2026, 11, 9)),
        ("Ich bin in zwei Wochen wieder da.", date(2026, 11, 9)),
        ("I am back next week.", date(2026, 11, 2)),
        ("Back the day after tomorrow.", date(2026, 10, 28)),
        ("Back on Monday 3 November.", None),
        ("Back on Monday, 2 November 2025.", None),
        ("I'm back on the first of November.", date(2026, 11, 1)),
        ("I will be back on the 2nd of November at 9:30.", date(2026, 11, 2)),
        ("Zurück am Mo., 2.11.", date(2026, 11, 2)),
        ("Ich bin vom 23. bis 30. Oktober im Urlaub.", date(2026, 10, 30)),
        ("Vom 26.10.-30.10. bin ich nicht im Büro.", date(2026, 10, 30)),
        ("Back 11/05", date(2026, 11, 5)),
        ("Back 11/05/26 and 10/27/2026", date(2026, 11, 5)),
        ("Estoy de vacaciones hasta el 30/11.", date(2026, 11, 30)),
        ("I am on leave until January 2028.", None),
        ("I'll be back in January.", None),
        ("Tôi nghỉ phép đến hết ngày 1 tháng 11. Tôi sẽ quay lại ngày 2 tháng 11.", date(2026, 11, 2)),
        # A weekend at the end of an absence belongs to it; weeks have the numbers of ISO 8601.
        ("I will be away from 26 October to 1 November.", date(2026, 11, 2)),
        ("I will be away until 31 October.", date(2026, 11, 1)),
        ("I will be away until 30 October.", date(2026, 10, 30)),
        ("Ich bin in der KW 45 wieder im Büro.", date(2026, 11, 2)),
        ("Jag är ledig och åter på kontoret onsdag vecka 45.", date(2026, 11, 4)),
        ("Jeg er på ferie og tilbage i uge 2.", date(2027, 1, 11)),
        ("Ich bin bis einschließlich KW 44 im Urlaub.", date(2026, 11, 2)),
        ("Ich bin in der KW 54 wieder im Büro.", None),
        ("현재 휴가 중이며 11월 2일(월)에 복귀합니다.", date(2026, 11, 2)),
        ("Vuelvo el 2 de noviembre.\n\nI will be back on 9 November.", None),
        ("Vuelvo el 2 de noviembre.\n\nI will be back on 2 November.", date(2026, 11, 2)),
        ("Saya cuti sampai dengan 1 November dan kembali 2 November.", date(2026, 11, 2)),
        ("Na godišnjem sam do 1. studenoga. Vraćam se 2. studenoga.", date(2026, 11, 2)),
    ],
)
def test_days_of_return_in_many_languages(text: str, day: date | None) -> None:
    """The day of return is read in each language, or the day after an included last day; contradictions give none."""
    assert find_return_date(text, MONDAY) == day


@pytest.mark.parametrize(
    ("text", "sent", "offset", "tag", "day"),
    [
        ("back on 11/02/2026", date(2026, 10, 28), US, None, date(2026, 11, 2)),
        ("returning 12/03", date(2026, 11, 27), US, None, date(2026, 12, 3)),
        ("returning 12/03", date(2026, 11, 27), BERLIN, None, date(2026, 12, 3)),
        ("returning 12/03", date(2026, 11, 27), BERLIN, ("en", "gb"), date(2026, 12, 3)),
        ("returning 12/03", date(2026, 11, 27), UTC_ZONE, ("en", "us"), date(2026, 12, 3)),
        ("back on 11/12/2026", date(2026, 10, 28), UTC_ZONE, None, None),
        ("back on 11/12/2026", date(2026, 10, 28), BERLIN, ("en", "us"), None),
        ("back on 11/12/2026", date(2026, 10, 28), UTC_ZONE, ("en", "us"), date(2026, 11, 12)),
        ("back on 11/12/2026", date(2026, 10, 28), UTC_ZONE, ("en", "gb"), date(2026, 12, 11)),
        ("back on Friday 11/12/2026", date(2026, 10, 28), UTC_ZONE, None, date(2026, 12, 11)),
        ("back on Thursday 11/12/2026", date(2026, 10, 28), UTC_ZONE, None, date(2026, 11, 12)),
        ("back on Sunday 11/12/2026", date(2026, 10, 28), UTC_ZONE, None, None),
        ("back on Thu 11/12/2026", date(2026, 10, 28), UTC_ZONE, None, date(2026, 11, 12)),
        ("wieder da am 11/12/2026", date(2026, 10, 28), US, None, date(2026, 12, 11)),
        ("back on 11/12/2026. Sent on 10/26/2026 9:12 AM", date(2026, 10, 28), BERLIN, None, date(2026, 11, 12)),
        ("11/2に復帰します", date(2026, 10, 28), timedelta(hours=9), None, date(2026, 11, 2)),
        ("back on January 4th", date(2027, 1, 7), UTC_ZONE, None, None),
        ("back on Monday January 4th", date(2027, 1, 7), UTC_ZONE, None, None),
        ("back on Tuesday January 4th", date(2027, 1, 7), UTC_ZONE, None, None),
        ("bis einschließlich 05.01. nicht im Büro", date(2027, 1, 7), BERLIN, None, None),
        ("bis einschließlich 06.01. nicht im Büro", date(2027, 1, 7), BERLIN, None, date(2027, 1, 7)),
        ("away until 20 December", date(2027, 1, 7), UTC_ZONE, None, None),
        ("away until 1 September", date(2027, 1, 7), UTC_ZONE, None, date(2027, 9, 1)),
        ("back on Monday 1 March", date(2026, 11, 20), UTC_ZONE, None, date(2027, 3, 1)),
    ],
)
def test_order_and_year(
    text: str, sent: date, offset: timedelta | None, tag: tuple[str, str] | None, day: date | None
) -> None:
    """Language, zone, weekday and other dates of the text decide; what stays ambiguous or is past gives no day."""
    assert find_return(text, SentAt(sent, offset, tag)).day == day


@pytest.mark.parametrize(
    ("header", "day"),
    [
        ("Wed, 28 Oct 2026 23:30:00 -0500", date(2026, 10, 28)),
        ("Thu, 29 Oct 2026 01:30:00 +0900", date(2026, 10, 29)),
        ("Mon, 26 Oct 2026 04:30:00 +0000", date(2026, 10, 26)),
        ("Mon, 26 Oct 2026 04:29:59 +0000", date(2026, 10, 29)),
        ("Sun, 01 Nov 2026 04:30:00 +0000", date(2026, 11, 1)),
        ("Sun, 01 Nov 2026 04:30:01 +0000", date(2026, 10, 29)),
        ("nonsense", date(2026, 10, 29)),
        ("Mon, 26 Oct 9999 04:30:00 -2300", date(2026, 10, 29)),
    ],
)
def test_the_day_on_which_a_message_was_sent(header: str, day: date) -> None:
    """It is the sender's day by the Date header, unless that is more than three days from the receipt."""
    received = datetime(2026, 10, 29, 4, 30, tzinfo=UTC)
    assert read_sent_at([("Date", header)], received).day == day


def test_the_language_of_a_sender() -> None:
    """Content-Language counts before Accept-Language."""
    received = datetime(2026, 10, 29, tzinfo=UTC)
    both = [("Accept-Language", "en-US, de"), ("Content-Language", "en-GB")]
    assert read_sent_at(both, received).tag == ("en", "gb")
    assert read_sent_at(both[:1], received).tag == ("en", "us")
    assert read_sent_at([], received).tag is None


@pytest.mark.parametrize("language", sorted(load_languages()))
def test_each_language_is_complete(language: str) -> None:
    """Each has words of return and absence, its subjects are recognized, and the names of its months are known."""
    words = load_languages()[language]
    assert {"back", "away", "from", "until", "inclusive", "subjects", "automatic"} <= words.keys()
    plain = [subject for subject in words["subjects"] if not set(subject) & set("()|[]?*\\.")]
    assert plain
    assert [subject for subject in plain if not has_automatic_subject(f"{subject}: One")] == []


def test_there_are_at_least_twenty_languages() -> None:
    """Months with several meanings are few."""
    assert len(load_languages()) >= 20
    ambiguous = ["lip", "lis", "listopad", "listopada", "srp"]
    assert sorted(name for name, numbers in load_months().items() if len(numbers) > 1) == ambiguous


@pytest.mark.parametrize(
    ("subject", "is_automatic"),
    [
        *((subject, True) for subject in ("Autosvar: One", "Automaattinen vastaus: One", "Autoodpowiedź: One")),
        *(
            (subject, True)
            for subject in ("自动回复:One", "自動応答: One", "자동 회신: One", "Max Muster ist außer Haus.")
        ),
        *((subject, True) for subject in ("Автоматический ответ: One", "AUTO: x", "[EXTERNAL] Automatic reply: One")),
        *((subject, False) for subject in ("Re: Autosvar: One", "Semester planning", "Leave it", "Absence of data")),
    ],
)
def test_automatic_subjects(subject: str, *, is_automatic: bool) -> None:
    """The subject of automatic mail begins with its name; that of a reply and a sentence do not."""
    assert has_automatic_subject(subject) is is_automatic


def test_notes_without_headers() -> None:
    """A text that says so is automatic; a note of absence needs a day, and has no question."""
    sent = SentAt(MONDAY)
    assert says_automatic("这是一封自动回复邮件。")
    assert says_automatic("Detta är ett automatiskt svar.")
    assert not says_automatic("I like automatic gates.")
    assert is_absence_note("Jag är på semester till 2 november.", sent)
    assert not is_absence_note("Jag är på semester.", sent)
    assert not is_absence_note("Jag är på semester till 2 november, kan vi tala då?", sent)


def test_hostile_notes_take_little_time() -> None:
    """Any text is read in time that is linear in its length."""
    start = time.process_time()
    for piece in (
        "back 1.1.",
        "until 3 May ",
        "5 5 5 ",
        "monday ",
        "2026-01-01",
        "11月1日",
        "not ",
        "in 2 weeks ",
        "a, ",
    ):
        find_return_date((piece * MAX_SENTENCE_CHARACTERS + "! ") * MAX_SENTENCES, MONDAY)
        has_automatic_subject(piece * 1000)
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("zone", "offset", "day"),
    [
        ("America/Toronto", -5, None),
        ("America/Vancouver", -8, None),
        ("America/New_York", -5, date(2026, 11, 12)),
        ("Asia/Manila", 8, date(2026, 11, 12)),
        ("Africa/Johannesburg", 2, date(2026, 12, 11)),
        ("", -5, date(2026, 11, 12)),
        ("No/Where", 2, date(2026, 12, 11)),
    ],
)
def test_the_zone_of_the_sender_decides_the_order(zone: str, offset: int, day: date | None) -> None:
    """Day or month comes first as in the country of the zone; in Canada both do, so that a user is asked."""
    received = datetime(2026, 11, 5, 12, tzinfo=timezone(timedelta(hours=offset)))
    headers = [("Date", format_datetime(received))]
    assert find_return("I am away and back 11/12.", read_sent_at(headers, received, zone)).day == day
