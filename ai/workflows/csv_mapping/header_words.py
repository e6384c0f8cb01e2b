"""How files in eight languages call their columns: phrases for what a column holds, and the words around them.

English, German, French, Dutch, Afrikaans, Spanish, Portuguese and Italian; all folded to lower case without accents.
"""

from collections.abc import Mapping
from enum import StrEnum


class Topic(StrEnum):
    """What a header speaks of."""

    FIRST_NAME = "first name"
    LAST_NAME = "last name"
    FULL_NAME = "full name"
    NAME = "name"  # first, last, full or a company's: what stands beside it says which
    EMAIL = "email"
    COMPANY = "company"
    ROLE = "role"
    SEGMENT = "segment"
    EMPLOYEES = "employees"
    TIMEZONE = "timezone"
    COUNTER = "counter"
    COLLEAGUE = "colleague"  # somebody else than the lead
    SPARE = "spare"
    UNKNOWN = "unknown"
    UNNAMED = "unnamed"


def phrases(text: str) -> frozenset[str]:
    """Return what stands between the commas."""
    return frozenset(" ".join(phrase.split()) for phrase in text.split(",") if phrase.strip())


# Understood wherever they stand in a header.
PHRASES: Mapping[Topic, frozenset[str]] = {
    Topic.FIRST_NAME: phrases("""
        first name, fname, f name, name first, given name, given names, forename, christian name, preferred name,
        nickname, vorname, vornamen, rufname, prenom, prenoms, voornaam, roepnaam, voorname, noemnaam, primer nombre,
        nombre de pila, nombres, primeiro nome, nome proprio, nome di battesimo, prenome
        """),
    Topic.LAST_NAME: phrases("""
        last name, lname, l name, name last, surname, family name, second name, nachname, nachnamen, familienname,
        zuname, nom de famille, nom famille, patronyme, achternaam, familienaam, geslachtsnaam, apellido, apellidos,
        primer apellido, sobrenome, apelido, ultimo nome, nome de familia, cognome
        """),
    Topic.FULL_NAME: phrases("""
        full name, complete name, display name, name display, formatted name, first and last name, first last name,
        first last, last first, name and surname, name surname, vor und nachname, vorname nachname, vor nachname, vor
        und zuname, vollstandiger name, ganzer name, name vorname, nachname vorname, nom complet, nom et prenom, prenom
        et nom, nom prenom, prenom nom, volledige naam, volle naam, volle name, naam en van, naam en achternaam, voor
        en achternaam, nombre completo, nombre y apellidos, nombre y apellido, apellidos y nombre, nombre apellidos,
        nome completo, nome e sobrenome, nome e cognome, cognome e nome, nome cognome, cognome nome, nominativo, nombre
        para mostrar
        """),
    Topic.EMAIL: phrases("""
        email, emails, mail, mails, emailid, mailadresse, mailadres, courriel, courriels, adresse electronique, mel,
        mailbox, epos, eposse, eposadres, correo, correos, correo electronico, direccion electronica, email adresse,
        correio eletronico, correio electronico, correio, posta elettronica, indirizzo elettronico
        """),
    Topic.COMPANY: phrases("""
        company, companies, organization, organisation, organizations, organisations, org, account name, accounts,
        account organization, employer, business name, firm, workplace, institution, firma, firmen, firmenname,
        firmenbezeichnung, unternehmen, unternehmensname, betrieb, arbeitgeber, gesellschaft, accountname, entreprise,
        societe, etablissement, raison sociale, denomination sociale, nom commercial, enseigne, organisme, employeur,
        structure, bedrijf, bedrijfsnaam, organisatie, organisatienaam, werkgever, onderneming, maatskappy,
        maatskappynaam, besigheid, besigheidsnaam, organisasie, werkgewer, empresa, compania, razon social,
        organizacion, negocio, empleador, companhia, organizacao, razao social, nome fantasia, instituicao, empregador,
        azienda, ditta, societa, ragione sociale, organizzazione, impresa, denominazione, nombre comercial
        """),
    Topic.ROLE: phrases("""
        title, job title, jobtitle, job position, job role, position title, position, designation, occupation,
        profession, headline, role, job function, function, work title, stelle, stellung, berufsbezeichnung, titel,
        jobtitel, funktion, rolle, beruf, stellenbezeichnung, positionsbezeichnung, berufstitel, tatigkeit, taetigkeit,
        dienstgrad, dienststellung, amtsbezeichnung, poste, fonction, titre, metier, intitule de poste, functie,
        functietitel, functienaam, functieomschrijving, beroep, posbenaming, postitel, postitels, werkstitel,
        werktitel, posisie, rol, beroepstitel, cargo, puesto, titulo, profesion, funcion, ocupacion, profissao, funcao,
        ocupacao, ruolo, qualifica, posizione, mansione, professione, titolo, carica, incarico
        """),
    Topic.SEGMENT: phrases("""
        segment, segments, size segment, size class, kundensegment, marktsegment, grossenklasse, segmentation,
        klantsegment, segmento, segmentacion, segmentacao
        """),
    Topic.EMPLOYEES: phrases("""
        employees, employee, num employees, number of employees, employee count, employees count, company size,
        employer size, organization size, organisation size, account size, business size, firm size, headcount, head
        count, staff, staff count, staff size, workforce, fte, ftes, mitarbeiter, mitarbeitende, mitarbeiterzahl,
        mitarbeiteranzahl, beschaftigte, beschaftigtenzahl, anzahl ma, anz ma, ma anzahl, ma zahl, unternehmensgrosse,
        firmengrosse, betriebsgrosse, personalstarke, effectif, effectifs, employes, salaries, taille entreprise,
        taille de entreprise, taille de la societe, taille societe, tranche d effectif, werknemers, medewerkers,
        personeel, personeelsleden, personeelsgetal, personeelgetal, personeelaantal, bedrijfsgrootte, bedrijfsomvang,
        organisatiegrootte, grootte van het bedrijf, maatskappygrootte, besigheidsgrootte, werknemersgetal, empleados,
        plantilla, trabajadores, tamano empresa, tamano de empresa, tamano de la empresa, tamano de la compania,
        funcionarios, colaboradores, empregados, trabalhadores, porte da empresa, porte empresa, tamanho da empresa,
        tamanho empresa, dipendenti, addetti, dimensione azienda, dimensioni azienda, dimensione aziendale, dimensioni
        aziendali, dimensione impresa, numemployees
        """),
    Topic.TIMEZONE: phrases("""
        timezone, time zone, tz, zeitzone, fuseau horaire, fuseau, tijdzone, tydsone, zona horaria, huso horario, fuso
        horario, fuso orario
        """),
    Topic.NAME: phrases("name, names, naam, nom, nombre, nome, fn"),
    Topic.COLLEAGUE: phrases("""
        owner, owners, manager, managers, assistant, assistants, referred, referrer, referral, referee, assigned,
        assignee, rep, reps, sales representative, creator, author, by, salesperson, seller, sdr, bdr, csm, supervisor,
        reports to, spouse, sponsor, host, sender, account executive, relationship manager, agent, agents, coach,
        emergency, inhaber, besitzer, eigentumer, zustandig, zustandige, zustandiger, betreuer, bearbeiter,
        sachbearbeiter, verantwortlich, verantwortlicher, verantwortliche, vorgesetzte, vorgesetzter, vertreter,
        stellvertreter, assistent, assistentin, kundenbetreuer, kundenberater, empfohlen, vermittler, von wem,
        gescannt, erstellt von, geandert von, proprietaire, gestionnaire, responsable, commercial, assistante, parrain,
        cree par, modifie par, charge de compte, conseiller, eigenaar, beheerder, accountbeheerder, accountmanager,
        verantwoordelijke, leidinggevende, vertegenwoordiger, aangemaakt door, doorverwezen, relatiebeheerder, eienaar,
        verteenwoordiger, bestuurder, toegewys, verwys deur, geskep deur, propietario, propietaria, asignado, asignada,
        vendedor, gestor, gerente, creado por, referido, dueno, proprietario, dono, responsavel, criado por, indicado,
        atribuido, agente, responsabile, venditore, creato da, assegnato, commerciale di riferimento
        """),
}

# Understood only when nothing else stands in the header but words of ownership.
ALONE: Mapping[Topic, frozenset[str]] = {
    Topic.FIRST_NAME: phrases("first, given"),
    Topic.LAST_NAME: phrases("last, family, van"),
    Topic.COMPANY: phrases(
        "account, business, company name for emails, organisation unit name, mandant, compte, cuenta, conta"
    ),
    Topic.ROLE: phrases("job, pos, amp, rang"),
    Topic.EMPLOYEES: phrases(
        "size, grosse, taille, effectif total, grootte, omvang, tamano, porte, tamanho, dimensione"
    ),
    Topic.NAME: phrases("""
        contact, contacts, lead, prospect, person, people, customer, client, attendee, participant, delegate, visitor,
        guest, recipient, member, subscriber, user, representative, decision maker, contact person, kontakt,
        ansprechpartner, ansprechpartnerin, ansprechperson, kontaktperson, kunde, teilnehmer, besucher, interlocuteur,
        destinataire, contactpersoon, klant, relatie, deelnemer, bezoeker, kontakpersoon, klient, kontak, contacto,
        cliente, persona, persona de contacto, asistente, participante, contato, pessoa de contato, pessoa de contacto,
        contatto, referente, partecipante, persona di riferimento
        """),
    Topic.COUNTER: phrases("""
        index, idx, row, row number, row id, line, nr, no, num, number, lfd nr, lfd, rownum, volgnummer, n, numero,
        nummer, nommer, ry, riga, linha, fila, ligne, zeile, rij, sr no, s no, sno, serial, serial no
        """),
    Topic.SPARE: phrases("middle name, maiden name, industry segment, function category, buyer persona, ca"),
}

# Say whose column it is, or only join words.
OWNERSHIP = phrases("""
    contact, contacts, lead, leads, account, accounts, person, people, prospect, prospects, primary, main, customer,
    client, recipient, attendee, participant, delegate, visitor, guest, member, subscriber, registrant, user, users,
    representative, decision, maker, badge, required, optional, mandatory, pflichtfeld, obligatoire, anz, billing,
    properties, property, attributes, attribute, fields, field, cf, hs, custom, value, values, wert, valeur, valor,
    valore, current, latest, best, recommended, respondent, hiring manager, kontakt, kontakte, ansprechpartner,
    ansprechpartnerin, ansprechperson, kontaktperson, kunde, kunden, teilnehmer, teilnehmers, besucher, aktuelle,
    aktueller, interlocuteur, destinataire, contactpersoon, klant, relatie, deelnemer, bezoeker, huidige,
    kontakpersoon, klient, kliente, kontak, contacto, contactos, cliente, persona, participante, actual, principal,
    contato, pessoa, atual, contatto, referente, partecipante, attuale, asistente, participants, the, of, for, your,
    you, my, our, is, are, what, which, who, whats, please, enter, and, do, does, have, has, how, many, work for, a,
    an, s, d, l, der, die, das, des, dem, den, ihr, ihre, und, fur, im, in, le, la, les, du, de, votre, quel, quelle,
    est, el, los, las, del, su, cual, es, y, het, een, uw, van, wat, en, jou, u, o, os, as, da, dos, seu, sua, qual, e,
    il, lo, gli, di, della, dell, tuo, tua, at, number, count, anzahl, nombre de, nombre d, numero, numero de, aantal,
    qtd, qtde, quantidade, n, no, nr, num, value text, total, global, approx, estimated, business contact, individual
    """)

BUSINESS = phrases("""
    work, business, office, direct, corporate, professional, company, organization, geschaftlich, geschaftliche,
    geschaftl, arbeit, dienstlich, beruflich, firma, pro, professionnel, professionnelle, zakelijk, zakelijke, werk,
    besigheid, trabajo, laboral, profesional, corporativo, empresa, trabalho, profissional, comercial, lavoro,
    aziendale, professionale, primary, main, recommended, best, verified, principal
    """)
LESSER = phrases("""
    personal, private, home, other, secondary, alternative, alternate, additional, supplemental, old, previous, former,
    bounced, invalid, generic, buyer, purchaser, shipping, delivery, billing contact, parent, preferred, nick,
    nickname, privat, priv, alternativ, weitere, andere, alte, kaufer, besteller, rufname, personnel, personnelle,
    prive, privee, autre, secondaire, acheteur, domicile, persoonlijk, tweede, persoonlik, privaat, ander, tuis,
    pessoal, particular, outro, alternativo, secundario, otro, comprador, personale, privato, altro, secondario, casa,
    acquirente, pec, roepnaam, headline, profession, occupation, beruf, profesion, function, funktion, fonction,
    functie, funcion, display, ultimate, legal, emails, range, conjoint, materno
    """)
ADDRESS = phrases("address, addresses, adresse, adressen, adres, direccion, endereco, morada, indirizzo, id")

PLACEHOLDERS = phrases("""
    column, col, field, unnamed, blank, empty, spalte, feld, colonne, champ, kolom, veld, columna, campo, coluna,
    colonna, var, f, c, v, x
    """)
