"""Words by which the values of a column are known, in eight languages, folded to lower case without accents."""

from ai.workflows.csv_mapping.header_words import phrases

FREE_MAIL = phrases("""
    gmail.com, googlemail.com, yahoo.com, yahoo.co.uk, yahoo.ca, yahoo.fr, yahoo.de, yahoo.es, yahoo.it, yahoo.com.br,
    yahoo.com.mx, yahoo.co.in, ymail.com, rocketmail.com, hotmail.com, hotmail.co.uk, hotmail.fr, hotmail.de,
    hotmail.es, hotmail.it, hotmail.nl, outlook.com, outlook.de, outlook.fr, outlook.es, outlook.com.br, outlook.pt,
    live.com, live.co.uk, live.nl, live.fr, live.de, msn.com, icloud.com, me.com, mac.com, aol.com, gmx.de, gmx.net,
    gmx.com, gmx.at, gmx.ch, web.de, t-online.de, freenet.de, arcor.de, posteo.de, mailbox.org, bluewin.ch, aon.at,
    orange.fr, wanadoo.fr, free.fr, laposte.net, sfr.fr, bbox.fr, neuf.fr, skynet.be, telenet.be, ziggo.nl, kpnmail.nl,
    planet.nl, hetnet.nl, xs4all.nl, home.nl, casema.nl, upcmail.nl, mweb.co.za, telkomsa.net, vodamail.co.za,
    webmail.co.za, absamail.co.za, iafrica.com, lantic.net, uol.com.br, bol.com.br, terra.com.br, ig.com.br, globo.com,
    sapo.pt, telefonica.net, libero.it, virgilio.it, tiscali.it, alice.it, tin.it, fastwebnet.it, proton.me,
    protonmail.com, pm.me, mail.com, mail.ru, yandex.com, yandex.ru, zoho.com, hey.com, fastmail.com, tutanota.com,
    comcast.net, verizon.net, att.net, sbcglobal.net, bellsouth.net, cox.net, charter.net, btinternet.com, sky.com,
    virginmedia.com, ntlworld.com, talktalk.net, bigpond.com, qq.com, 163.com, 126.com
    """)
MAILBOXES = phrases("""
    info, contact, kontakt, hello, hallo, office, sales, support, admin, mail, service, team, enquiries, enquiry, post,
    kontakte, verkauf, vertrieb, contacto, contato, comercial, ventas, vendas, accueil, bonjour, segreteria,
    amministrazione
    """)
ROLES = phrases("""
    manager, director, ceo, cto, cfo, coo, cmo, cio, ciso, cro, cpo, chro, chief, head, vp, svp, evp, president,
    officer, engineer, consultant, analyst, founder, cofounder, owner, assistant, coordinator, specialist, developer,
    executive, accountant, designer, administrator, supervisor, architect, advisor, adviser, buyer, planner, scientist,
    lawyer, attorney, nurse, physician, teacher, professor, lecturer, technician, operator, editor, writer, recruiter,
    trainer, representative, agent, broker, controller, auditor, secretary, treasurer, principal, superintendent,
    chairman, chairwoman, chair, strategist, producer, surveyor, buchhalter, buchhalterin, geschaftsfuhrer,
    geschaftsfuhrerin, geschaftsleitung, leiter, leiterin, inhaber, inhaberin, prokurist, prokuristin, referent,
    referentin, berater, beraterin, einkaufer, einkauferin, sachbearbeiter, sachbearbeiterin, vorstand, direktor,
    direktorin, ingenieur, ingenieurin, entwickler, entwicklerin, assistent, assistentin, disponent, disponentin,
    werkstudent, meister, mitarbeiter, mitarbeiterin, partnerin, gesellschafter, directeur, directrice, responsable,
    chef, cheffe, gerant, gerante, presidente, charge, chargee, consultante, conseiller, conseillere, acheteur,
    acheteuse, comptable, assistante, commercial, commerciale, developpeur, developpeuse, ingenieure, technicien,
    graphiste, fondateur, fondatrice, avocat, avocate, pdg, drh, daf, eigenaar, bedrijfsleider, hoofd, medewerker,
    adviseur, beleidsadviseur, projectleider, teamleider, inkoper, verkoper, ontwikkelaar, boekhouder, oprichter,
    bestuurder, bestuurslid, notaris, ondernemer, zaakvoerder, werkvoorbereider, teamlid, hoof, besturende, direkteur,
    eienaar, stigter, vennoot, rekenmeester, ouditeur, konsultant, verkoopsbestuurder, bemarkingsbestuurder,
    aankoopbestuurder, redakteur, prokureur, gerente, subgerente, directora, jefe, jefa, encargado, encargada,
    coordinador, coordinadora, administrador, administradora, analista, ingeniero, ingeniera, propietario, propietaria,
    socio, socia, comprador, compradora, vendedor, vendedora, asesor, asesora, contador, contadora, disenador,
    disenadora, abogado, abogada, fundador, fundadora, asistente, tecnico, tecnica, secretaria, diretor, diretora,
    coordenador, coordenadora, engenheiro, engenheira, supervisora, assistente, gestor, gestora, proprietario,
    proprietaria, dono, consultor, consultora, advogado, advogada, responsabile, direttore, direttrice, amministratore,
    amministratrice, titolare, impiegato, impiegata, addetto, addetta, geometra, commercialista, sviluppatore,
    stilista, ragioniere, venditore, fondatore, capo, consulente, ingegnere, avvocato
    """)
ROLE_ENDINGS = (
    "leiter", "leiterin", "manager", "managerin", "berater", "beraterin", "direktor", "direktorin", "ingenieur",
    "ingenieurin", "entwickler", "entwicklerin", "assistent", "referent", "adviseur", "leider", "medewerker",
    "bestuurder", "beheerder", "directeur", "beauftragter", "beauftragte", "techniker", "kaufmann", "kauffrau",
)  # fmt: skip
COMPANIES = phrases("""
    ltd, limited, inc, incorporated, llc, llp, plc, corp, corporation, co, company, group, holding, holdings, gmbh,
    mbh, ag, kg, kgaa, ohg, ug, ev, eg, se, gbr, sarl, sas, sasu, eurl, sa, bv, nv, vof, pty, cc, bk, bpk, edms, sl,
    slu, srl, spa, snc, sac, sapi, lda, ltda, eireli, mei, oy, ab, as, aps, partners, associates, sons, solutions,
    industries, bank, university, technologies, systems, services, software, consulting, logistics, labs, studio,
    studios, agency, ventures, capital, media, foods, energy, partner, gruppe, verlag, stadtwerke, klinikum,
    universitat, hochschule, groupe, cabinet, institut, clinique, freres, fils, banque, groep, zonen, bouw, techniek,
    boerdery, prokureurs, vennote, motors, grupo, hermanos, hijos, abogados, asociados, consultores, banco, irmao,
    irmaos, gruppo, fratelli, figli, banca, costruzioni
    """)
# They mean a size class wherever they stand.
SIZE_CLASSES = phrases("""
    enterprise, mid market, midmarket, smb, sme, smes, small business, small and medium, small medium business, large
    enterprise, mittelstand, mittelstandler, grossunternehmen, kleinunternehmen, kmu, pme, eti, tpe, grand compte,
    grande entreprise, petite entreprise, moyenne entreprise, mkb, grootbedrijf, kleinbedrijf, middenbedrijf, pyme,
    pymes, gran empresa, grande empresa, mediana empresa, media empresa, pequena empresa, microempresa, micro empresa,
    pme s, pmi, grande impresa, media impresa, piccola impresa, mikroonderneming, large account, strategic account,
    klein onderneming, groot onderneming, medium business, large business
    """)
# They do under a header that speaks of sizes.
SIZES = phrases("""
    small, medium, large, mid, micro, startup, start up, corporate, commercial, large corporate, very small, very
    large, medium sized, mid size, midsize, midsized, klein, mittel, mittelgross, gross, kleinst, konzern, middel,
    middelgroot, groot, petit, petite, moyen, moyenne, grand, grande, pequena, pequeno, mediana, mediano, media, medio,
    piccola, piccolo, gran, s, m, l, xl, xs
    """)
SALUTATIONS = phrases("""
    mr, mrs, ms, miss, mx, dr, prof, sir, madam, prof dr, dr med, dr ing, dipl ing, mag, rev, herr, frau, hr, fr, herr
    dr, frau dr, m, mme, mlle, monsieur, madame, mademoiselle, dhr, mevr, mevrouw, de heer, dhr mevr, mnr, mev, mej,
    me, meneer, sr, sra, srta, senor, senora, dna, d, don, dona, sr a, sig, sig ra, signor, signora, signore, dott,
    dott ssa, dottore, ing, avv, exmo sr, exma sra
    """)
ANSWERS = phrases("""
    yes, no, y, n, true, false, t, f, x, on, off, ja, nein, j, nee, oui, non, o, si, sim, nao, s, wahr, falsch, vrai,
    faux, waar, onwaar, verdadero, falso, verdadeiro, vero, 0, 1, opted in, opted out, opt in, opt out, subscribed,
    unsubscribed, active, inactive, aktiv, inaktiv, verified, unverified, unknown, valid, invalid
    """)
COUNTRIES = phrases("""
    united states, united states of america, usa, us, united kingdom, uk, great britain, england, scotland, wales,
    ireland, canada, australia, new zealand, south africa, germany, france, netherlands, belgium, spain, portugal,
    italy, switzerland, austria, brazil, mexico, argentina, chile, colombia, peru, india, china, japan, singapore,
    kenya, nigeria, namibia, botswana, sweden, norway, denmark, finland, poland, deutschland, osterreich, schweiz,
    frankreich, belgique, suisse, allemagne, espagne, nederland, belgie, duitsland, suid afrika, namibie, espana,
    alemania, francia, brasil, alemanha, franca, espanha, italia, germania, svizzera, estados unidos, reino unido, de,
    fr, nl, es, pt, it, za, gb, ie, ca, au, ch, at, be, br, mx, south korea, united arab emirates, uae, israel, turkey
    """)
