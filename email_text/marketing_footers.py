"""Recognizes lines of a sender's own marketing footer: they tell readers how to leave the sender's newsletter."""

# ruff: noqa: RUF001 - Words and signs of many alphabets.

import re

_FOOTER = re.compile(
    r"""
      if[ ]you[ ](?:no[ ]longer|do[ ]not|don'?t|would[ ]rather[ ]not)[ ](?:wish[ ]|want[ ])?(?:to[ ])?(?:receive|hear|get|be[ ]contacted)
    | if[ ]you[ ](?:wish|want|would[ ](?:like|prefer)|prefer)[ ]to[ ](?:unsubscribe|opt[ -]?out|stop[ ]receiving)
    | (?<!me[ ])(?<!us[ ])(?:click[ ](?:here[ ])?to|you[ ](?:can|may)(?:[ ]always)?|^\W*to)[ ]unsubscribe
    | unsubscribe[ ](?:here|from[ ](?:our|this|these)[ ])(?!list|database)
    | manage[ ](?:your[ ])?(?:e-?mail[ ])?(?:preferences|subscriptions?)
    | you(?:[ ]are|'re)?[ ](?:receiving|receive|received|get|got)[ ](?:this|our)[ ].{0,60}(?:because|as[ ]a|letter|mail)
    | [|·•][ ]*(?:unsubscribe|opt[ -]?out|abmelden|d[ée]sabonnement|afmelden|darse[ ]de[ ]baja)\b
    | \b(?:unsubscribe|opt[ -]?out|abmelden|d[ée]sabonnement|afmelden|darse[ ]de[ ]baja)[^|·•\n]{0,30}[|·•]
    | sie[ ](?:möchten|wollen|wünschen)[ ]k?eine?n?.{0,60}(?:von[ ]uns|newsletter|mehr)[^?\n]{0,30}\?
    | (?:wenn|falls|sofern|sollten)[ ]sie.{0,80}(?:abmelden|abbestellen|nicht[ ]mehr|keine.{0,40}(?:mehr|wünschen))
    | (?:newsletter|hier|jederzeit)\b.{0,30}(?:abmelden|abbestellen) | sie[ ]erhalten[ ](?:diese|unseren)
    | si[ ]vous[ ]ne[ ](?:souhaitez|voulez|désirez)[ ]plus | pour[ ](?:vous[ ]dés(?:abonner|inscrire)|ne[ ]plus[ ]recevoir[ ](?:nos|notre))
    | \bse[ ]dés(?:abonner|inscrire) | vous[ ]recevez[ ](?:ce|cet|cette|notre)\b
    | (?:als|indien|wilt|wil)[ ](?:u|je)[ ].{0,60}(?:afmelden|uitschrijven|geen[ ].{0,40}(?:ontvang|meer))
    | (?:u|je)[ ]ontvangt[ ](?:deze|dit|onze) | (?:indien|as)[ ]u[ ]nie.{0,40}(?:ontvang|meer)
    | si[ ](?:ya[ ])?no[ ](?:desea|quiere|deseas|quieres)[ ] | para[ ]dar(?:se|te)[ ]de[ ]baja
    | se[ ](?:já[ ])?não[ ](?:deseja|quiser|pretende|quer)[ ] | para[ ](?:cancelar[ ]a[ ]|deixar[ ]de[ ]receber)
    | se[ ]non[ ](?:desidera|vuole|desideri|vuoi)[ ] | per[ ](?:cancellar(?:si|ti)|disiscriver(?:si|ti)|annullare[ ]l)
    | hvis[ ]du[ ]ikke[ ](?:længere[ ]|lenger[ ])?(?:ønsker|vil)[ ] | om[ ]du[ ]inte[ ](?:längre[ ])?(?:vill|önskar)[ ]
    | (?:afmeld|meld[ ]deg[ ]av|avsluta|avregistrera)[ ](?:dig[ ]|deg[ ])?(?:nyhedsbrev|nyhetsbrev|her|här|prenumeration)
    | je(?:śli|żeli)[ ]nie[ ](?:chce|życz) | aby[ ](?:zrezygnować|wypisać[ ]się)
    | pokud[ ](?:si[ ])?(?:již[ ])?nepřejete | odhlásit[ ](?:se[ ])?(?:zde|odběr|z[ ]odběru)
    | jos[ ]et[ ](?:enää[ ])?halua | ha[ ](?:a[ ]továbbiakban[ ])?nem[ ](?:szeretne|kíván)
    | almak[ ]istem(?:iyorsanız|ezseniz) | dacă[ ]nu[ ](?:mai[ ])?dori | αν[ ]δεν[ ](?:επιθυμείτε|θέλετε)
    | если[ ]вы[ ](?:больше[ ])?не[ ](?:хотите|желаете) | чтобы[ ]отписаться | якщо[ ]ви[ ](?:більше[ ])?не[ ](?:хочете|бажаєте)
    | 配信停止(?:は|を|の|をご希望) | 如(?:果)?(?:您)?不(?:想|希望|再).{0,20}(?:收到|接收) | (?:退订请|点击.{0,6}退订) | 수신을?[ ]?원(?:하지|치)
    """,  # noqa: E501 - one alternative of a language on each line
    re.VERBOSE | re.IGNORECASE,
)
_OWN_REQUEST = re.compile(r"\b(?:me|my|mich|mir|moi|mij|mnie|mig|meg|mi|minha|meu|mia|mio)\b|\bm'", re.IGNORECASE)
"""Words of a person who speaks about their own address; a footer speaks to its readers."""
MAX_FOOTER_LINE = 600


def is_marketing_footer(line: str) -> bool:
    """Return whether a line addresses the readers of the sender's own mailings."""
    line = line[:MAX_FOOTER_LINE].replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _FOOTER.search(line) is not None and not _OWN_REQUEST.search(line)
