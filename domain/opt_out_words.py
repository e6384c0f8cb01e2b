"""The words of opt-outs in English, German, French, Dutch, Afrikaans, Spanish, Portuguese and Italian.

All are in lower case without accents, as `domain.words.fold_words` writes them; in headers also without blanks.
"""

from collections.abc import Mapping

from domain.suppression import SuppressionReason

COMPLAINT, UNSUBSCRIBED = SuppressionReason.COMPLAINT, SuppressionReason.UNSUBSCRIBED
HARD_BOUNCE = SuppressionReason.HARD_BOUNCE


def _split(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(","))


MAIL = _split("""
        email, emails, mail, mails, mailing, mailings, epos, correo, courriel, contact, kontakt, contacto
    """)
OTHER_CHANNELS = _split(
    """
        phone, telephone, telefon, telefoon, telefono, telefone, tel, call, calls, calling, anruf, appel,
        llamar, llamadas, ligar, chiamare, bellen, fax, sms, text, texts, whatsapp, push, postal, letter,
        brief, courrier, mobile, cell, voice
    """
)
NO_FLAG = _split("""
        link, url, lien, enlace, rate, quote, soft, percent, probability, page, soft bounced, count soft
    """)
DENIED_HEADERS = _split("notoptedout, notunsubscribed, nonoptedout, notbounced, nichtabgemeldet, nietuitgeschreven")

HEADER_STEMS: Mapping[SuppressionReason, frozenset[str]] = {
    COMPLAINT: _split(
        """
        spamreport, spamcomplain, emailcomplain, mailcomplain, abusecomplain, reportedspam, reportedasspam,
        markedasspam, markedspam, abusereport, spambeschwerde, plaintespam, spamklacht, quejaspam,
        denunciaspam, reclamacaospam, segnalazionespam, segnalatospam
    """
    ),
    UNSUBSCRIBED: _split(
        """
        optout, optedout, optingout, optsout, unsubscrib, unsubtime, unsubreason, unsubdate, unsubcampaign,
        donotcontact, donotemail, donotmail, donotsend, donotdisturb, dontcontact, dontemail, dontmail,
        dontsend, donotallowemail, donotallowbulkemail, donotbulk, donotmarket, nocontact, nomailing,
        noemailing, neveremail, nevercontact, mailsperre, blacklist, blocklist, denylist, suppressionlist,
        suppressed, emailsuppression, suppressionreason, abgemeldet, abmeldung, abmeldedatum, abbestell,
        ausgetragen, austragung, austragedatum, werbewiderspruch, widerspruch, widersprochen, werbesperre,
        kontaktsperre, werbeverbot, keinewerbung, keinemails, keineemail, keinkontakt, nichtkontaktieren,
        nichtanschreiben, nichtanmailen, nichtmailen, desabonn, desinscri, desinscription, nepascontacter,
        nepluscontacter, nepasenvoyer, nepassolliciter, oppositionemail, oppositionmail, listenoire,
        refusemail, uitgeschreven, uitschrijf, uitschrijving, afgemeld, afmelding, nietmailen, nietemailen,
        nietcontacteren, nietbenaderen, nietaanschrijven, geenmail, geenmailing, geencontact, zwartelijst,
        uitgeskryf, uitgeteken, moeniekontak, moenieepos, moeniemail, moeniestuur, dadodebaja, dadadebaja,
        motivobaja, motivodebaja, fechabaja, fechadebaja, bajaemail, bajacorreo, bajaboletin, desuscri,
        desuscrip, cancelosuscripcion, nocontactar, noenviar, nomolestar, listanegra, descadastr,
        cancelouinscricao, inscricaocancelada, naocontatar, naocontactar, naoenviar, naoperturbe, disiscri,
        cancellazioneiscrizione, noncontattare, noninviare, nondisturbare
    """
    ),
    HARD_BOUNCE: _split(
        """
        bounce, undeliverable, hardbounce, cleantime, cleanedat, cleaneddate, unzustellbar, nichtzustellbar,
        rebond, onbestelbaar, rebotado, rebote, naoentregue, rimbalz, mailinvalide
    """
    ),
}
"""Parts of headers that say not to mail, by the reason of a cell that states none."""
HEADER_WORDS: Mapping[SuppressionReason, frozenset[str]] = {
    COMPLAINT: frozenset(),
    UNSUBSCRIBED: _split("dnc, dne, dnm, unsub, unsubbed, unsubs"),
    HARD_BOUNCE: _split("cleaned, bounced, bounces"),
}
EXACT_HEADERS: Mapping[str, SuppressionReason] = dict.fromkeys(
    _split("baja, bajas, debaja"), UNSUBSCRIBED
) | dict.fromkeys(
    _split("""
        complaint, complaints, complained, complaintdate, complainedat, complaineddate, complainton,
        complaintat
    """),
    COMPLAINT,
)
"""Whole headers of words that mean something else beside others."""
PERMISSIONS = _split(
    """
        subscribed, emailsubscribed, subscribedtoemail, subscribedtoemails, subscribedemail, cancontact,
        maycontact, canemail, mayemail, canbecontacted, maybecontacted, canbeemailed, contactable, mailable,
        marketable, emailable, abonniert, newsletterabonniert, darfkontaktiertwerden,
        darfangeschriebenwerden, kontaktierbar, abonne, geabonneerd, suscrito, suscripto, contactabile,
        contactavel
    """
)
PERMISSION_STEMS = _split(
    """
        allowemail, allowbulkemail, allowmail, allowcontact, emailallowed, emailsallowed, contactallowed,
        mailingallowed, emailpermitted, emailenabled, mailerlaubt, werbungerlaubt, kontakterlaubt,
        emailautorise, contactautorise, mailtoegestaan, contacttoegestaan, correopermitido,
        contactopermitido, emailpermitido, contatopermitido, emailconsentit, contattoconsentito
    """
)
"""Headers of the opposite, where an explicit no says not to mail."""
STATUS_HEADERS = _split(
    """
        status, statuses, statut, statuts, etat, estado, situacion, situacao, stato, state, zustand,
        toestand, stand, subscription, subscriptions, subscriber, abonnement, abo, suscripcion, assinatura,
        inscricao, iscrizione, inschrijving, consent, einwilligung, consentement, toestemming,
        consentimiento, consentimento, consenso, marketing, newsletter, mailing, suppression, suppressions,
        tag, tags, label, labels, etiquetas, etiquettes
    """
)


def _statuses() -> Mapping[str, SuppressionReason]:
    return {
        phrase: reason
        for reason, phrases in (
            (
                UNSUBSCRIBED,
                """
        unsubscribed, unsubscribe, unsubscribes, unsub, unsubbed, opted out, opt out, optout, optedout,
        opt outs, opted out of email, opted out of emails, opted out of all email,
        unsubscribed from all email, unsubscribed from all emails, globally unsubscribed,
        global unsubscribe, list unsubscribe, manually unsubscribed, unsubscribed manually,
        unsubscribed by admin, unsubscribed by user, do not contact, do not email, do not mail, do not send,
        do not disturb, do not allow, donotcontact, donotemail, do not e mail, dont contact, don t contact,
        dont email, don t email, never contact, dnc, dne, no contact, no mailing, no marketing, blacklisted,
        blacklist, blocklisted, blocklist, denylisted, suppressed, suppression, remove me,
        consent withdrawn, consent revoked, abgemeldet, abgemeldete, abmeldung, abbestellt,
        ausgetragen, widersprochen, widerspruch, werbewiderspruch, werbesperre, kontaktsperre,
        keine werbung, keine mails, keine e mails, kein kontakt, nicht kontaktieren,
        nicht mehr kontaktieren, nicht anschreiben, desabonne, desabonnee, desabonnes, desinscrit,
        desinscrite, ne pas contacter, ne plus contacter, ne pas envoyer, ne pas solliciter, opposition,
        liste noire, uitgeschreven, afgemeld, niet mailen, niet e mailen, niet contacteren,
        niet benaderen, geen contact, geen mail, geen mailing, uitgeskryf, uitgeteken, moenie kontak nie,
        moenie kontak, moenie epos nie, dado de baja, dada de baja, de baja, desuscrito, desuscrita,
        desuscripto, no contactar, no enviar, no molestar, suscripcion cancelada,
        descadastrado, descadastrada, cancelou inscricao, inscricao cancelada, nao contatar, nao contactar,
        nao enviar, nao perturbe, optou por sair, disiscritto, disiscritta, iscrizione annullata,
        iscrizione cancellata, non contattare, non inviare, non disturbare
    """,
            ),
            (
                HARD_BOUNCE,
                """
        bounced, bounce, hard bounce, hardbounce, hard bounced, hard bounces, hardbounced, bounced hard,
        email bounced, cleaned, undeliverable, not deliverable, invalid mailbox, mailbox not found,
        user unknown, unknown user, unzustellbar, nicht zustellbar, rebond, rebond definitif, onbestelbaar,
        onbestelbaar adres, teruggestuurd, rebotado, rebote, rebote duro, nao entregue,
        rimbalzato, non recapitabile
    """,
            ),
            (
                COMPLAINT,
                """
        complained, complaint, complaints, spam complaint, spam complaints, complained of spam, spam report,
        spam reported, reported spam, reported as spam, marked as spam, marked spam, abuse, abuse complaint,
        abuse report, spamreport, spam beschwerde, als spam markiert, als spam gemeldet,
        plainte spam, signale comme spam, marque comme spam, spamklacht,
        als spam gemarkeerd,  queja de spam, marcado como spam, marcada como spam,
        denunciou spam, segnalazione spam, segnalato come spam, contrassegnato come spam
    """,
            ),
        )
        for phrase in _split(phrases)
    }


STATUSES = _statuses()
"""Whole cells that are a no in any column of opt-outs."""
REFUSALS = _split(
    """
        0, no, n, false, f, off, never, denied, not allowed, not permitted, disabled, unsubscribe, nein,
        falsch, aus, nicht erlaubt, non, faux, nee, onwaar, uit, niet toegestaan, falso, nao, nego, refused,
        declined, abgelehnt, refuse, geweigerd, rechazado, recusado, rifiutato, vals, not subscribed, nie,
        ne, nej, nem, ei, hayir
    """
)
SUBSCRIBED = _split(
    """
        subscribed, subscriber, nonsubscribed, never subscribed, not subscribed, opted in, opt in, optin,
        double opt in, single opt in, abonniert, angemeldet, abonne, abonnee, inscrit, inscrite,
        geabonneerd, ingeschreven, ingeteken, suscrito, suscrita, inscrito, inscrita, iscritto, iscritta
    """
)
DENIALS = (
    REFUSALS
    | SUBSCRIBED
    | _split(
        """
        active, ok, okay, valid, deliverable, delivered, allow, allowed, aktiv, erlaubt, actif, autorise,
        actief, toegestaan, aktief, activo, activa, permitido, ativo, ativa, attivo, attiva, consentito,
        confirmed, pending, unconfirmed, transactional, soft, soft bounce, soft bounced, softbounce,
        soft bounces, not opted out, not unsubscribed, never unsubscribed, not bounced, no opt out,
        nicht abgemeldet, niet uitgeschreven, non desabonne, niet afgemeld, no dado de baja,
        nao descadastrado, non disiscritto, good, clean, sent, opened, clicked, verified, unverified,
        accept all, catch all, risky, in progress, open, new, null date
    """
    )
) - {"unsubscribe"}
NEGATIONS = _split("not, never, no, non, nicht, nie, pas, niet, geen, kein, keine, nao")
YES = _split(
    """
        1, yes, y, true, t, on, x, checked, ja, j, wahr, an, oui, vrai, waar, si, s, verdadero, sim,
        verdadeiro, vero, tak
    """
)
YES_SIGNS = _split("✓, ✔, ✅, ☑, ☒, ✗, ✘, да, Да, はい")
NO_SIGNS = _split("☐, □, ○, ❌, нет, Нет, いいえ")
