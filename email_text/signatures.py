"""Removes the closing, signature, mobile footer and disclaimer of a message."""

import re

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
    | (?:un[ ]|cordiales[ ])?saludos? | atentamente | atenciosamente | (?:com[ ]os[ ]melhores[ ])?cumprimentos
    )\b[^\n?]{0,30}$""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
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
    body = _MOBILE_FOOTER.sub("", body)
    for end in (_DASHES, _CLOSING):
        if (match := end.search(body)) and body[: match.start()].strip():
            paragraphs = re.split(r"\n[ \t]*\n", body[match.end() :])
            body = "\n\n".join([body[: match.start()].rstrip(), *filter(_POSTSCRIPT.match, paragraphs)])
    return _remove_disclaimers(body).strip()


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
