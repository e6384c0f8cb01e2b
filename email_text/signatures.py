"""Separates the closing, signature, mobile footer, marketing footer and disclaimer of a message from its text."""

# ruff: noqa: RUF001 - Words and signs of many alphabets.

import re
from collections.abc import Collection

from email_text.marketing_footers import is_marketing_footer

_DASHES = re.compile(r"^--[ \t]*$", re.MULTILINE)
_CLOSING = re.compile(
    r"""^[ \t]*(?:
      (?:with[ ])?(?:kind|kindest|best|warm|warmest|many)?[ ]?(?:regards|wishes)
    | (?:yours[ ])?(?:sincerely|faithfully|truly) | mit[ ]\w+[ ](?:gruß|grüßen|grüssen|gruss)
    | \w{4,12}[ ](?:grüße|grüsse|gruß|gruss) | mfg | lg | vg | hochachtungsvoll
    | (?:bien[ ]|très[ ])?cordialement | cdt | cordiales?[ ]salutations | bien[ ]à[ ]vous | salutations
    | (?:veuillez[ ]agréer|je[ ]vous[ ]prie[ ](?:de[ ]croire|d'agréer)).*
    | (?:vriendelike[ ]|beste[ ])?(?:groete|groetnis) | (?:vriendelik[ ])?die[ ]uwe
    | met[ ](?:vriendelijke|hartelijke)[ ](?:groet|groeten) | mvg | groeten
    | (?:viele[ ]|liebe[ ])?(?:gruß|gruss|grüße|grüsse)
    | (?:un[ ](?:cordial[ ])?|cordiales[ ])?saludos? | atentamente | atenciosamente | cordialmente
    | (?:com[ ]os[ ]melhores[ ])?cumprimentos | (?:un[ ]abrazo|abraços?)
    | (?:(?:cordiali|distinti|cari|un[ ]cordiale?)[ ])?salut[io]
    | (?:med[ ])?(?:(?:venlige?|vennlige?|vänliga?|bedste|beste|bästa|mange|de[ ]bedste|hjertelige?)[ ])?(?:hilsen|hilsner|hälsningar|hälsning)
    | mvh | (?:(?:serdecznie|z[ ]poważaniem)[ ,]*)?pozdrawiam | z[ ](?:poważaniem|pozdrowieniami)
    | s[ ](?:(?:přátelským|srdečným|priateľským)[ ])?pozdrav[eo]m | s[ ]úctou | (?:ystävällisin[ ]|parhain[ ])?terveisin
    | (?:szívélyes[ ])?üdvözlettel | tisztelettel | cu[ ](?:stimă|respect|drag) | saygılarım(?:ız)?la | iyi[ ]çalışmalar
    | с[ ](?:уважением|наилучшими[ ]пожеланиями) | з[ ]повагою | με[ ]εκτίμηση | φιλικ[άοό]\w*
    | 敬具 | 此致 | 祝好 | 顺[祝颂]商祺 | בברכה | בכבוד[ ]רב | مع[ ](?:خالص[ ]|أطيب[ ])?التحي(?:ة|ات) | تحياتي
    )\b[^\n?]{0,30}$""",  # noqa: E501 - one language after the other
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_THANKS = re.compile(
    r"^\W*(?:cheers|thanks|thank you|thx|best|all the best|(?:vielen )?dank|danke|merci|bedankt|dankie|gracias"
    r"|obrigad[oa]|grazie|tack|takk|tak|kiitos|dzięk\w+|děkuj\w+|спасибо)\W*$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+")
MAX_NAME_WORDS = 4
_POSTSCRIPT = re.compile(r"^[ \t]*(?:p\.?[ ]?p?\.?s\b|n\.?b\b)", re.IGNORECASE)
_MOBILE_FOOTER = re.compile(
    r"^[ \t]*(?:sent (?:from|with|via)|get outlook for|(?:diese \S+ wurde )?von meine[mr]\b.*gesendet"
    r"|gesendet (?:von|mit|aus|über)|envoyé (?:de|depuis|à partir|avec)|gestuur (?:vanaf|van|uit)"
    r"|(?:verzonden|verstuurd) (?:vanaf|met|via)|enviad[oa] (?:desde|do|de|pelo|a partir))\b[^\n]{0,80}$",
    re.IGNORECASE | re.MULTILINE,
)
_DISCLAIMER = re.compile(
    r"intended (?:recipient|addressee|only|solely|for the)|if (?:you are|that'?s) not (?:the|you)\b"
    r"|received .{0,40}in error|\bconfidential|\bprivileged\b|\bdisclaimer\b|before printing"
    r"|vertraulich|irrtümlich erhalten|nicht der .{0,20}(?:adressat|empfänger)|auf viren"
    r"|\bconfidentiel|reçu .{0,40}par erreur|pas le .{0,20}destinataire"
    r"|\bvertroulik|per ongeluk ontvang|bedoelde ontvanger|\bvrywaring\b|vertrouwelijk|abusievelijk"
    r"|\bconfidencial|recib\w+ .{0,40}por error|receb\w+ .{0,40}por engano",
    re.IGNORECASE | re.DOTALL,
)
_MESSAGE_WORD = re.compile(
    r"\b(?:e-?mails?|messages?|nachrichten?|mitteilung|e-?pos|boodskap|bericht|courriels?|mensaje|mensagem|correo)\b",
    re.IGNORECASE,
)


def strip_signature(body: str) -> str:
    """Return a message without signature, footer and disclaimer; a postscript is kept."""
    return split_signature(body)[0]


def split_signature(body: str, sender_names: Collection[str] = ()) -> tuple[str, str]:
    """Return the text of a message, and what follows its closing or stands in a marketing footer.

    A line with only words of the sender's name closes a message too. A postscript belongs to the text.
    """
    body = _MOBILE_FOOTER.sub("", body)
    tails: list[str] = []
    for start, end in filter(None, (find(body, sender_names) for find in (_find_dashes, _find_closing, _find_name))):
        if start >= len(body) or not body[:start].strip():
            continue
        postscripts = [part for part in re.split(r"\n[ \t]*\n", body[end:]) if _POSTSCRIPT.match(part)]
        tails.append(body[start:])
        body = "\n\n".join([body[:start].rstrip(), *postscripts])
    body, footer = _split_footers(body)
    return _remove_disclaimers(body).strip(), "\n\n".join([*reversed(tails), footer]).strip()


def _find_dashes(body: str, sender_names: Collection[str]) -> tuple[int, int] | None:
    del sender_names
    return match.span() if (match := _DASHES.search(body)) else None


def _find_closing(body: str, sender_names: Collection[str]) -> tuple[int, int] | None:
    del sender_names
    return match.span() if (match := _CLOSING.search(body)) else None


def _find_name(body: str, sender_names: Collection[str]) -> tuple[int, int] | None:
    """Return where a line with only the sender's name begins and ends, with a word of thanks before it."""
    names = {name.casefold() for name in sender_names if len(name) > 1}
    start = previous = 0
    for line in body.split("\n"):
        words = [word.casefold() for word in _WORD.findall(line)]
        if 0 < len(words) <= MAX_NAME_WORDS and names & set(words) and all(w in names or len(w) == 1 for w in words):
            return (previous if _THANKS.match(body[previous:start]) else start), start + len(line)
        if words:
            previous = start
        start += len(line) + 1
    return None


def _split_footers(body: str) -> tuple[str, str]:
    """Return a text without the lines of marketing footers after its first line, and these lines."""
    lines = body.split("\n")
    footers = [index for index, line in enumerate(lines) if index and is_marketing_footer(line)]
    kept = [line for index, line in enumerate(lines) if index not in footers]
    return "\n".join(kept), "\n".join(lines[index] for index in footers)


def _remove_disclaimers(body: str) -> str:
    """Remove paragraphs, except the first, that call the message confidential or misdirected."""
    first, *others = re.split(r"\n[ \t]*\n", body)
    return "\n\n".join(
        [
            first,
            *(
                paragraph
                for paragraph in others
                if not (_DISCLAIMER.search(paragraph) and _MESSAGE_WORD.search(paragraph))
            ),
        ]
    )
