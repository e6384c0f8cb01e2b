"""Leaves out of a message what stands below its words: closing and signature, mobile footer and disclaimer."""

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
_FROM_A_PHONE = re.compile(
    r"^[ \t]*(?:sent (?:from|with|via)|get outlook for|(?:diese \S+ wurde )?von meine[mr]\b.*gesendet"
    r"|gesendet (?:von|mit|aus|über)|envoyé (?:de|depuis|à partir|avec)|gestuur (?:vanaf|van|uit)"
    r"|(?:verzonden|verstuurd) (?:vanaf|met|via)|enviad[oa] (?:desde|do|de|pelo|a partir))\b[^\n]{0,80}$",
    re.IGNORECASE | re.MULTILINE,
)
_DISCLAIMS = re.compile(
    r"intended (?:recipient|addressee|only|solely|for the)|if (?:you are|that'?s) not (?:the|you)\b"
    r"|received .{0,40}in error|\bconfidential|\bprivileged\b|\bdisclaimer\b|before printing"
    r"|vertraulich|irrtümlich erhalten|nicht der .{0,20}(?:adressat|empfänger)|auf viren"
    r"|\bconfidentiel|reçu .{0,40}par erreur|pas le .{0,20}destinataire"
    r"|\bvertroulik|per ongeluk ontvang|bedoelde ontvanger|\bvrywaring\b|vertrouwelijk|abusievelijk"
    r"|\bconfidencial|recib\w+ .{0,40}por error|receb\w+ .{0,40}por engano",
    re.IGNORECASE | re.DOTALL,
)
_A_MESSAGE = re.compile(
    r"\b(?:e-?mails?|messages?|nachrichten?|mitteilung|e-?pos|boodskap|bericht|courriels?|mensaje|mensagem|correo)\b",
    re.IGNORECASE,
)


def unsigned(body: str) -> str:
    """Return a message without what its sender did not write for it; a postscript is kept."""
    body = _FROM_A_PHONE.sub("", body)
    for end in (_DASHES, _CLOSING):
        if (found := end.search(body)) and body[: found.start()].strip():
            below = re.split(r"\n[ \t]*\n", body[found.end() :])
            body = "\n\n".join([body[: found.start()].rstrip(), *filter(_POSTSCRIPT.match, below)])
    return _without_small_print(body).strip()


def _without_small_print(body: str) -> str:
    """Leave out paragraphs after the first that call the message itself confidential or misdirected."""
    first, *others = re.split(r"\n[ \t]*\n", body)
    return "\n\n".join([first, *(one for one in others if not (_DISCLAIMS.search(one) and _A_MESSAGE.search(one)))])
