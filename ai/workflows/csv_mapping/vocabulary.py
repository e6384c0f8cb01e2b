"""How files in seven languages call their columns, and which words their values are known by.

English, German, French, Dutch, Afrikaans, Spanish and Portuguese; all folded to lower case without accents.
"""

from collections.abc import Mapping

from ai.workflows.csv_mapping.state import Target


def _headers(text: str) -> frozenset[str]:
    return frozenset(header.strip() for header in text.split(","))


HEADERS: Mapping[Target, frozenset[str]] = {
    Target.FIRST_NAME: _headers(
        "first name,firstname,first,fname,f name,given name,given names,forename,christian name,preferred name,"
        "vorname,rufname,prenom,prenoms,voornaam,roepnaam,voorname,noemnaam,primer nombre,nombre de pila,nombres,"
        "primeiro nome,nome proprio"
    ),
    Target.LAST_NAME: _headers(
        "last name,lastname,last,lname,l name,surname,family name,nachname,familienname,zuname,nom de famille,"
        "patronyme,achternaam,familienaam,geslachtsnaam,van,apellido,apellidos,primer apellido,sobrenome,apelido,"
        "ultimo nome"
    ),
    Target.FULL_NAME: _headers(
        "full name,fullname,contact name,contact,contact person,person name,display name,lead name,prospect name,"
        "customer name,client name,ansprechpartner,kontaktperson,vollstandiger name,vor und nachname,name vorname,"
        "kontakt,nom complet,nom et prenom,prenom et nom,interlocuteur,volledige naam,contactpersoon,volle naam,"
        "naam en van,kontakpersoon,nombre completo,nombre y apellidos,persona de contacto,contacto,nome completo,"
        "pessoa de contato,contato"
    ),
    Target.EMAIL: _headers(
        "email,e mail,mail,email address,e mail address,mail address,emailaddress,email id,work email,business email,"
        "office email,corporate email,professional email,company email,personal email,private email,home email,"
        "primary email,secondary email,other email,email work,email home,email business,email personal,email adresse,"
        "e mail adresse,mailadresse,geschaftliche email,adresse email,adresse e mail,adresse mail,courriel,"
        "adresse courriel,adresse electronique,mel,e mailadres,emailadres,mailadres,epos,e pos,eposadres,e posadres,"
        "epos adres,correo,correo electronico,direccion de correo,direccion de correo electronico,email de trabajo,"
        "endereco de email,endereco de e mail,email profissional,correio eletronico,email profissionnel,"
        "email professionnel,e mail professionnel,e mail 1 value,email value"
    ),
    Target.COMPANY: _headers(
        "company,company name,companyname,organization,organisation,organization name,organisation name,org,org name,"
        "account,account name,employer,business,business name,firm,current company,company name for emails,firma,"
        "firmenname,unternehmen,unternehmensname,betrieb,arbeitgeber,entreprise,societe,nom de l entreprise,"
        "nom de la societe,raison sociale,organisme,bedrijf,bedrijfsnaam,naam bedrijf,organisatie,werkgever,"
        "maatskappy,maatskappynaam,besigheid,onderneming,empresa,nombre de la empresa,nombre empresa,compania,"
        "razon social,organizacion,nome da empresa,companhia,organizacao,razao social,organization 1 name"
    ),
    Target.ROLE: _headers(
        "role,title,job title,jobtitle,job,position,job position,job role,designation,occupation,function,headline,"
        "position title,current title,stelle,berufsbezeichnung,jobtitel,funktion,rolle,beruf,stellenbezeichnung,"
        "poste,fonction,intitule du poste,titre,titre du poste,functie,functietitel,functienaam,beroep,pos,"
        "posbenaming,postitel,werkstitel,rol,amp,cargo,puesto,puesto de trabajo,titulo,profesion,funcion,funcao,"
        "profissao,organization 1 title"
    ),
    Target.SEGMENT: _headers(
        "segment,customer segment,market segment,company segment,account segment,size segment,kundensegment,"
        "marktsegment,segment client,segment de marche,klantsegment,segmento,segmento de mercado,segmento de cliente"
    ),
    Target.TIMEZONE: _headers(
        "timezone,time zone,tz,iana timezone,zeitzone,fuseau horaire,fuseau,tijdzone,tydsone,zona horaria,"
        "huso horario,fuso horario"
    ),
}

# Last name beside a first name, first name beside a last name, full name alone.
AMBIGUOUS_NAMES = _headers("name,names,nom,naam,nombre,nome")

SPARE = _headers(
    "phone,phone number,telephone,tel,mobile,mobile phone,cell,fax,website,web,url,linkedin,linkedin url,twitter,"
    "address,street,city,state,country,zip,postal code,postcode,notes,note,comments,description,source,lead source,"
    "deal stage,stage,status,lead status,owner,lead owner,account owner,contact owner,account id,id,lead id,"
    "contact id,record id,customer id,industry,tags,labels,created,created at,created date,updated at,last activity,"
    "birthday,date of birth,gender,salutation,prefix,suffix,middle name,department,seniority,employees,"
    "number of employees,company size,revenue,annual revenue,language,region,subscription date,connected on,score,"
    "lead score,telefon,telefonnummer,handy,mobil,webseite,strasse,ort,stadt,plz,land,notizen,bemerkung,anrede,"
    "branche,quelle,telephone portable,portable,site web,adresse,ville,pays,code postal,remarques,civilite,telefoon,"
    "telefoonnummer,mobiel,adres,stad,plaats,postcode,opmerkingen,aanhef,telefoonnommer,selfoon,webwerf,land,"
    "aantekeninge,telefono,movil,sitio web,direccion,ciudad,pais,codigo postal,notas,sector,telefone,celular,site,"
    "endereco,cidade,pais,cep,observacoes,setor"
)
COUNTERS = _headers(
    "index,idx,row,row number,row id,line,nr,no,num,number,lfd nr,rownum,volgnummer,n,numero,unnamed,ry"
)

# Words that say whose column it is, not what it holds.
QUALIFIERS = _headers("contact,lead,person,primary,main,customer,prospect,client,recipient,kontakt,klant,klient")
BUSINESS_WORDS = _headers(
    "work,business,office,corporate,professional,company,geschaftliche,geschaftlich,arbeit,professionnel,"
    "profissional,trabajo,zakelijk,werk,primary"
)
PRIVATE_WORDS = _headers(
    "personal,private,home,other,secondary,alternative,alternate,privat,private,personnel,prive,persoonlik,pessoal,"
    "particular,old"
)

FREE_MAIL = _headers(
    "gmail.com,googlemail.com,yahoo.com,yahoo.co.uk,yahoo.fr,yahoo.de,yahoo.es,yahoo.com.br,ymail.com,hotmail.com,"
    "hotmail.co.uk,hotmail.fr,outlook.com,outlook.de,live.com,msn.com,icloud.com,me.com,mac.com,aol.com,gmx.de,"
    "gmx.net,gmx.com,web.de,t-online.de,freenet.de,orange.fr,wanadoo.fr,free.fr,laposte.net,sfr.fr,ziggo.nl,"
    "kpnmail.nl,planet.nl,hetnet.nl,xs4all.nl,mweb.co.za,telkomsa.net,vodamail.co.za,webmail.co.za,uol.com.br,"
    "bol.com.br,terra.com.br,proton.me,protonmail.com,mail.com,yandex.com"
)
ROLE_WORDS = _headers(
    "manager,director,ceo,cto,cfo,coo,cmo,head,vp,president,officer,engineer,consultant,analyst,founder,owner,"
    "partner,lead,assistant,coordinator,specialist,developer,executive,accountant,designer,administrator,supervisor,"
    "geschaftsfuhrer,leiter,leiterin,directeur,directrice,responsable,chef,gerente,diretor,bestuurder,besturende,"
    "hoof,bedrijfsleider,sales,marketing"
)
COMPANY_WORDS = _headers(
    "ltd,limited,inc,llc,llp,plc,corp,corporation,company,group,holdings,gmbh,ag,kg,ohg,ug,sarl,sas,sa,bv,nv,pty,cc,"
    "bpk,edms,sl,lda,ltda,partners,associates,sons,solutions,industries,bank,university,technologies,systems,services"
)
SEGMENT_VALUES = _headers(
    "enterprise,mid-market,midmarket,mid market,smb,sme,small business,large,mittelstand,grossunternehmen,kmu,pme,"
    "mkb,pyme"
)
GIVEN_NAMES = _headers(
    "james,john,robert,michael,william,david,richard,joseph,thomas,charles,mary,patricia,jennifer,linda,elizabeth,"
    "barbara,susan,jessica,sarah,karen,anna,maria,peter,paul,mark,daniel,matthew,anthony,andrew,joshua,kevin,brian,"
    "george,emma,olivia,sophia,lisa,nancy,laura,amy,emily,rebecca,rachel,meghan,krystal,ashlee,ashley,amanda,melissa,"
    "stephanie,nicole,steven,eric,adam,scott,ryan,jason,jeffrey,hans,klaus,jurgen,wolfgang,stefan,andreas,matthias,"
    "ursula,sabine,petra,monika,julia,lena,jan,pierre,jean,marie,michel,philippe,nicolas,sophie,camille,claire,francois,"
    "luc,pieter,johan,willem,kees,anouk,sanne,daan,femke,johannes,hendrik,thabo,sipho,nomsa,lerato,zanele,riaan,annelie,"
    "jose,juan,carlos,luis,miguel,javier,carmen,ana,isabel,lucia,pablo,joao,pedro,paulo,tiago,rui,ines,fernanda,bruno,"
    "marta,helena,simon,martin,alexander,max,felix,lukas,leon,mia,noah,liam,lucas,ben,tom,sam,kate,jane,alice,bob"
)
