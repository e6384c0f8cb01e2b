# ruff: noqa: RUF001 - Headers in many alphabets.

import time

import pytest

from email_text.own_text import MAX_SENT_CHARACTERS, SHARED_WORDS, remove_sent_text
from email_text.quotes import MAX_LINE_CHARACTERS, MAX_LINES, extract_reply, split_reply

BLOCKS = [
    "Fra: Ann Smit <a@b.example>\nSendt: 26. oktober 2026 09:12\nTil: Mette\nEmne: x",
    "Von: Ann Smit\nGesendet: Montag, 26. Oktober 2026 09:12\nAn: x\nBetreff: y",
    "*Od:* Ann Smit [mailto:a@b.example]\n*Wysłano:* poniedziałek, 26 października 2026 09:12\n*Do:* x",
    "De : Ann <a@b.example>\nEnvoyé : lundi 26 octobre 2026 09:12\nÀ : x\nObjet : y",
    "Gönderen: Ann <a@b.example>\nTarih: 26 Ekim 2026 Pazartesi 09:12\nKime: x\nKonu: y",
    "発件人: Ann <a@b.example>\n送信日時: 2026年10月26日 9:12\n宛先: x\n件名: y",
    "发件人\uff1a Ann <a@b.example>\n发送时间\uff1a 2026年10月26日 9:12\n收件人\uff1a x\n主题\uff1a y",
    "מאת: Ann <a@b.example>\nנשלח: 26 אוקטובר 2026 09:12\nאל: x\nנושא: y",
    "От: Ann <a@b.example>\nОтправлено: 26 октября 2026 г. 9:12\nКому: x, y,\n  z <z@b.example>\nТема: y",
    "_" * 32 + "\nLähettäjä: Ann <a@b.example>\nLähetetty: maanantai 26. lokakuuta 2026 9.12\nVastaanottaja: x",
    "-----Oprindelig meddelelse-----\nFra: Ann",
    "Den mån 26 okt. 2026 kl 09:12 skrev Ann Smit <a@b.example>:",
    "Den mån 26 okt. 2026 kl 09:12 skrev Ann Smit <\na@b.example>:",
    "pon., 26 paź 2026 o 09:12 Ann Smit <a@b.example> napisał(a):",
    "2026年10月26日(月) 9:12 Ann Smit <a@b.example>:",
    '26.10.2026, 09:12, "Ann" <a@b.example>:',
    "Dnia 26 października 2026 Ann Smit napisał(a):",
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_quote_is_recognized_by_its_shape(block: str) -> None:
    """Header blocks, dividers and attributions begin a quote in any language, also without quote marks."""
    parts = split_reply(f"Yes, go on.\n\n{block}\n\nDear Mette,\nno more emails", own_names=["Ann Smit"])
    assert parts.text == "Yes, go on."


@pytest.mark.parametrize(
    "text",
    [
        "Name: Jo\nEmail: jo@x.example\nQuestion: how much?",
        "Hi,\nTel: 021 2012 33\nMobile: 99\nE-Mail: a@b.example",
        "Status: AWAY\nFrom: 2026-11-16\nReturn: 2026-12-07\nBackup: a@b.example",
        "We could meet on 26 October 2026 at 09:12:\nat our office",
        "Two dates: 26.10.2026\nand:\n27.10.2026",
    ],
)
def test_lists_in_a_message_are_no_quote(text: str) -> None:
    """Fewer than three headers, headers without a date, and a date without an author begin no quote."""
    assert extract_reply(text) == text


def test_an_attribution_of_marked_lines() -> None:
    """Without a name, an attribution counts before marked lines alone, and answers after them are kept."""
    assert extract_reply("Dnia 26.10.2026 o 09:12 Ann pisze:\n> Hi\nYes.") == "Yes."
    assert extract_reply("Dnia 26.10.2026 o 09:12 Ann pisze:\nHi") == "Dnia 26.10.2026 o 09:12 Ann pisze:\nHi"


def test_what_follows_the_closing_is_the_tail() -> None:
    """The tail begins at the closing, at the sender's name, or at a marketing footer; a postscript is text."""
    names = ["Jonas", "Berg"]
    assert split_reply("Yes.\n\nPozdrawiam\nJonas", names).tail == "Pozdrawiam\nJonas"
    assert split_reply("Yes.\n\nCheers\nJonas\n\nunsubscribe", names).tail == "Cheers\nJonas\n\nunsubscribe"
    assert split_reply("Yes.\nJonas\nBerg Tools. Unsubscribe", names) == split_reply("Yes.\n-- \n", names).__class__(
        "Yes.", "Jonas\nBerg Tools. Unsubscribe"
    )
    parts = split_reply("Yes.\nIf you no longer wish to receive our letter, reply STOP.\nPS: today")
    assert (parts.text, parts.tail) == ("Yes.\nPS: today", "If you no longer wish to receive our letter, reply STOP.")


@pytest.mark.parametrize(
    "text",
    [
        "If you no longer wish to receive our letter, reply STOP.",
        "Hi Ann,\nplease take me off your newsletter.",
        "Thanks\nbut no",
        "Jonas says no.\nUnsubscribe us",
        "Hallo,\nich möchte mich vom Newsletter abmelden",
    ],
)
def test_a_request_is_no_footer(text: str) -> None:
    """The first line, a request about the reader's own address, and a sentence with a name stay in the text."""
    assert split_reply(text, ["Jonas"]).text == text


SENT = "If it is not relevant just say so and there will be no more emails from me.\nhttps://acme.example/u/AAAA"


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        (f"Yes please\n{SENT}", "Yes please"),
        ("Yes\njust say so and there\nwill be no more emails\nfrom me", "Yes"),
        ("Good: just say so and there will be no more emails from me. Ha", "Good: . Ha"),
        ("no more emails from me", "no more emails from me"),
        ("Unsubscribe: https://other.example/u/B", ""),
        ("click https://acme.example/u/AAAA", ""),
        (
            "I will not press a link like https://acme.example/u/AAAA",
            "I will not press a link like https://acme.example/u/AAAA",
        ),
        ("", ""),
    ],
)
def test_our_own_text_is_removed(reply: str, left: str) -> None:
    """Runs of words that we sent and our unsubscribe link are removed; shorter runs and other words stay."""
    assert remove_sent_text(reply, SENT) == left


@pytest.mark.parametrize("count", [SHARED_WORDS - 1, SHARED_WORDS, SHARED_WORDS + 1])
def test_six_words_in_a_row_are_ours(count: int) -> None:
    """Fewer words than the limit stay."""
    words = " ".join("abcdefgh"[:count])
    assert remove_sent_text(words, "a b c d e f g h") == ("" if count >= SHARED_WORDS else words)


def test_hostile_texts_take_little_time() -> None:
    """Long lines, many headers and repeated words are read in linear time."""
    start = time.process_time()
    for line in ("A: " * 200, "1:00 2026 " * 60, "-" * MAX_LINE_CHARACTERS, "a " * 300, "If you " * 80, "a@a.a " * 99):
        split_reply("\n".join([line] * MAX_LINES), ["a"], ["a a"])
    remove_sent_text("a " * MAX_SENT_CHARACTERS, "a " * MAX_SENT_CHARACTERS)
    assert time.process_time() - start < 5
