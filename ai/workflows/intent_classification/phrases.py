"""The phrases that tell what a reply means, as patterns over text with straight apostrophes.

English first, with the commonest phrases of German, French, Dutch, Afrikaans, Spanish and Portuguese.
"""

import re

from ai.workflows.intent_classification.state import Intent


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE)


# "please do not remove me" asks for the opposite
KEEP = _any(
    r"\b(?:don'?t|do not|never|not (?:want|wish|need|looking) to)\s+(?:want to |wish to |need to "
    r"|please )?(?:unsubscribe|remove|opt[- ]out)"
    r"[^.!?,;\n]{0,40}",
)
UNSUBSCRIBE = _any(
    r"\bunsubscri(?:be|bed|bing)\b",
    r"\b(?:remove|delete|take|drop|strike|scrub)\s+(?:me|us|my (?:e-?mail|address|name|details|data|info\w*)"
    r"|this (?:e-?mail|address))\b",
    r"\b(?:remove|delete|erase) (?:\S+ ){0,4}from (?:your|the|this|any|all) (?:\S+ ){0,2}(?:list|lists|database"
    r"|records|system|crm)\b",
    r"\b(?:stop|quit|cease)\s+(?:\w+\s+){0,2}(?:e-?mail|contact|messag|send|spam|writ|bother|mail|harass|pester)\w*",
    r"\b(?:do not|don'?t|never|no longer)\s+(?:ever )?(?:e-?mail|contact|message|write(?: to)?|mail|spam|send (?:me"
    r"|us))\b",
    r"\bopt(?:ing)?[- ]?(?:me )?out\b|\btake me off\b|\bno more (?:e-?mails?|messages)\b|\bleave me alone\b",
    r"\b(?:do not|don'?t|no longer)\s+(?:want|wish)\s+(?:to (?:receive|get|hear)|(?:any )?(?:more )?e-?mails)",
    r"\bgdpr\b.{0,80}\b(?:delet|eras|remov)|\bpopia\b.{0,80}\b(?:delet|eras|remov)|\A\s*(?:stop|remove)[\s.!]*\Z",
    r"\babmelden\b|\baustragen\b|\baus (?:ihrem|dem|eurem|ihrer|der) (?:verteiler|liste)"
    r"|\bkeine (?:weiteren )?(?:e-?mails?|mails|nachrichten)\b",
    r"\bdésabonn|\bdésinscri|\bne (?:plus )?m'(?:écri|envoy|contact)\w*|\bretire[rz]?[- ]moi\b"
    r"|\bsupprime[rz]?[- ]moi\b",
    r"\bafmelden\b|\buitschrijven\b|\bgeen (?:e-?)?mails? meer\b|\bverwijder (?:mij|me|my)\b|\bteken my uit\b"
    r"|\bhou op om\b",
    r"\bstop met (?:mailen|e-?mail|pos)|\bhaal my (?:asseblief )?(?:van|af)\b|\bmoenie (?:my )?(?:weer|meer)\b",
    r"\b(?:darme|dame|darse) de baja\b|\bcancelar (?:la |mi |minha |a )?(?:suscripción|inscrição|subscrição)"
    r"|\bno me (?:envíe|escrib|contact)\w*",
    r"\bdescadastr|\bremov(?:a|er)[- ]me\b|\bme remova\b|\bnão (?:quero|desejo) (?:mais )?receber\b|\bno (?:quiero"
    r"|deseo) recibir\b",
)
AWAY = _any(
    r"\b(?:i am|i'm|i will be|i'll be|is|am)\s+(?:currently |presently |now )?(?:out of (?:the |my )?office"
    r"|away from (?:the|my) "
    r"(?:office|desk)|on (?:annual |maternity |paternity |parental |sick |study )?(?:leave|vacation|holiday|pto))",
    r"\bout of (?:the )?office\b.{0,40}\b(?:until|till|from|returning|back)\b|\blimited access to (?:my )?e-?mails?\b",
    r"\b(?:nicht|ausser|außer) (?:im |am )?(?:büro|haus|arbeitsplatz)\b|\bim urlaub\b|\babwesend\b|\bbin ich wieder\b",
    r"\bactuellement (?:absent|en congé)|\bje suis (?:absent|en (?:congé|vacances|déplacement))"
    r"|\babsente? (?:du bureau|jusqu)",
    r"\b(?:ben ik|ik ben) (?:momenteel |op dit moment |tot )?.{0,30}(?:afwezig|met (?:vakantie|verlof)"
    r"|niet (?:op kantoor|aanwezig))",
    r"\bek is (?:tans |op die oomblik )?(?:uit die kantoor|uit kantoor|met verlof|weg)\b|\bbuite kantoor\b",
    r"\b(?:fuera de (?:la )?oficina|de vacaciones|estaré ausente|me encuentro ausente)\b",
    r"\b(?:fora do escritório|de férias|estarei ausente|estou ausente)\b",
)
AWAY_SIGNS = _any(
    r"\b(?:urgent|emergency|immediate (?:assistance|attention)|in my absence|thank you for your (?:e-?mail|message)"
    r"|respond (?:to your "
    r"(?:e-?mail|message) )?(?:when|upon|on my)|upon my return|when i return|i will (?:reply|respond|get back)"
    r"|limited access)\b",
    r"\b(?:until|returning|return on|back (?:on|in))\b|\bbis\b|\bdringend|\bvertretung\b|\bjusqu|\burgen[tc]|\btot\b"
    r"|\bdringend\b"
    r"|\bhasta\b|\baté\b|\bweiterleit|\bwieder\b|\bde retour\b|\bterug\b",
)
LEFT = _any(
    r"\b(?:no longer (?:works?|working|with|employed|at)|has left|have left|left the (?:company|organi[sz]ation)"
    r"|not longer with)\b",
    r"\bnicht mehr (?:für|bei|im unternehmen)|\bne (?:travaille|fait) plus|\bwerkt niet (?:meer|langer)"
    r"|\bwerk nie meer|\bya no trabaj"
    r"|\bnão trabalh\w+ mais",
)
RECEIPT = _any(
    r"\b(?:we have|we've|has been) received\b|\b(?:ticket|case|request|reference) (?:number|id|#|no)"
    r"|\bthank you for contacting\b",
    r"\bone of our (?:team|agents)\b|\bwithin \d+ (?:business |working )?(?:hours|days)\b",
)
PATTERNS: tuple[tuple[Intent, float, re.Pattern[str]], ...] = (
    (
        Intent.REFERRAL,
        0.85,
        _any(
            r"\b(?:please |you (?:should|could|can|need to) |best to |try |kindly )(?:contact|reach out to"
            r"|speak (?:to|with)|talk to|e-?mail|write to"
            r"|connect with|get in touch with|direct this to)\s+(?!me\b|us\b|them\b|again\b)",
            r"\b(?:cc'?(?:ed|ing|'d)?|copied|copying|adding|looping in|looped in|forward(?:ed|ing)(?: (?:this"
            r"|your \w+))? to|passed (?:this|it) "
            r"(?:on|along) to)\b",
            r"\b(?:right|best|correct) person (?:to (?:speak|talk|contact)\b.{0,20} )?(?:is|would be)\b"
            r"|\bmy colleague\b|\b(?:wenden sie sich|mein\w* "
            r"kolleg)|\bmon collègue|\bma collègue|\bmijn collega|\bmy kollega|\bmi (?:colega|compañer)|\bmeu colega"
            r"|\bminha colega",
        ),
    ),
    (
        Intent.WRONG_PERSON,
        0.88,
        _any(
            r"\b(?:wrong|not the (?:right|correct|best)) (?:person|contact|address|e-?mail)\b|\bno longer (?:work"
            r"|with|at|employed|responsible)",
            r"\b(?:don'?t|do not|am not|i'm not)\s+(?:handle|deal with|manage|responsible for|in charge of"
            r"|the (?:decision|one))",
            r"\b(?:nicht (?:mehr )?(?:zuständig|der richtige)|falsche\w? (?:person|ansprechpartner)"
            r"|pas la bonne personne|mauvaise personne|niet de "
            r"juiste|verkeerde persoon|nie die regte|persona equivocada|no soy la persona|pessoa errada"
            r"|não sou a pessoa)",
        ),
    ),
    (
        Intent.NOT_NOW,
        0.85,
        _any(
            r"\b(?:not|no)\b.{0,25}\b(?:right now|at the moment|at this (?:time|point|stage)|currently|just yet"
            r"|this (?:year|quarter|month))\b",
            r"\b(?:reach|get|check|circle|touch base|come|follow)\b.{0,20}\b(?:out|back|in|up|again"
            r"|base)\b.{0,30}\b(?:in|after|later|next|quarter"
            r"|month|year|january|february|march|april|june|july|august|september|october|november|december|q[1-4])\b",
            r"\b(?:next|later (?:this|in the)) (?:quarter|year)\b|\bmaybe (?:later|next)\b|\b(?:too busy|no budget"
            r"|bad timing|not a priority|on hold)\b",
            r"\b(?:im moment nicht|derzeit (?:nicht|kein)|momentan (?:nicht|kein)|aktuell (?:nicht|kein)|später noch"
            r"|pas pour le moment|pas maintenant"
            r"|plus tard|op dit moment niet|nu niet|later (?:dit|volgend)|nie nou|op die oomblik nie|ahora no"
            r"|por ahora no|más adelante|de momento no"
            r"|agora não|no momento não|mais tarde)\b",
        ),
    ),
    (
        Intent.NOT_INTERESTED,
        0.9,
        _any(
            r"\b(?:not|n't|no longer|never)\s+(?:\w+\s+){0,2}interest(?:ed)?\b|\bno interest\b|\bno,? thank(?:s"
            r"| you)\b|\bnot for (?:us|me)\b"
            r"|\b(?:we'll|i'll|will|going to) pass\b|\bnot (?:a (?:good )?)?fit\b|\b(?:don'?t|do not) need\b"
            r"|\bwe'?re (?:all set|good|happy with)"
            r"|\balready (?:have|use|work with)\b|\bnot (?:looking|relevant)\b",
            r"\b(?:kein(?:en)? (?:interesse|bedarf)|nicht interessiert|pas intéressé|pas d'intérêt|non merci"
            r"|geen (?:interesse|belangstelling)"
            r"|niet geïnteresseerd|nie geïnteresseerd|stel nie belang|nee dankie|nee,? bedankt|no (?:me|nos) interesa"
            r"|no estoy interesad|no gracias"
            r"|não (?:tenho|temos) interesse|sem interesse|não,? obrigad)",
        ),
    ),
    (
        Intent.MEETING_REQUEST,
        0.88,
        _any(
            r"\b(?:schedule|book|set up|arrange|hop on|jump on|have)\b.{0,20}\b(?:a )?(?:call|meeting|chat|demo|time"
            r"|zoom|teams)\b",
            r"\b(?:happy|glad|love|like|free|available|keen|let'?s|can we|could we|time)\b.{0,20}\b(?:chat|talk|meet"
            r"|speak|connect|call|catch up)\b",
            r"\bcalendly\.com|\bcal\.com/|\b(?:i'm|i am|we are|we're) (?:free|available)\b|\b(?:does|would"
            r"|how (?:about|is))\b.{0,25}\b(?:work|suit|"
            r"monday|tuesday|wednesday|thursday|friday)\b|\bsend (?:me |us |over )?(?:an? |the |some )?(?:invite"
            r"|calendar|times|availability)",
            r"\b(?:termin (?:vereinbaren|ausmachen)|telefonieren|rendez-vous|un appel|afspraak|bellen|afspraak"
            r"|'n oproep|oproep reël|ontmoet|una "
            r"(?:llamada|reunión)|agendar|marcar uma|uma (?:chamada|ligação|reunião))\b",
        ),
    ),
    (
        Intent.INTERESTED,
        0.85,
        _any(
            r"\b(?:i'?m|we'?re|i am|we are|would be|am|very|quite|definitely|yes|might be"
            r"|could be)\s+(?:\w+\s+)?(?:interested|intrigued|keen)\b",
            r"\b(?:sounds|looks) (?:\w+ )?(?:good|great|interesting|promising|useful)\b|\b(?:tell|send"
            r"|share)\b.{0,12}\b(?:me|us|over)?\b.{0,15}\bmore\b"
            r"|\bmore (?:info|information|details)\b|\b(?:would|i'd|we'd) (?:love|like) to (?:learn|hear|know|see|try"
            r"|find out)\b|\byes,? please\b",
            r"\b(?:klingt (?:gut|interessant|spannend)|(?:bin|sind|wären|wäre) (?:\w+ )?interessiert|interesse an"
            r"|mehr (?:informationen|infos|details)|"
            r"(?:suis|sommes|serais) (?:\w+ )?intéressé|plus d'informations|ça m'intéresse"
            r"|ben (?:\w+ )?geïnteresseerd|klinkt (?:goed|interessant)|"
            r"meer informatie|stel belang|klink (?:goed|interessant)|meer inligting|me interesa|(?:estoy"
            r"|estamos) interesad|más información|suena "
            r"(?:bien|interesante)|tenho interesse|temos interesse|mais informações|(?:estou|estamos) interessad)",
        ),
    ),
)
ASKS = re.compile(r"\?\s*(?:\n|$|[A-ZÄÖÜ])")
PRICE = _any(
    r"\bhow much\b|\bpricing\b|\bwhat (?:does|is|are)\b.{0,40}\bcost|\bwas kostet\b|\bcombien\b|\bwat kost\b"
    r"|\bcuánto\b|\bquanto\b"
)
