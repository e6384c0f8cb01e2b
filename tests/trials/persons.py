"""The persons of histories: each has several addresses, and each address several spellings. Written by hand."""

PERSONS: dict[str, dict[str, tuple[str, ...]]] = {
    "anna": {
        "anna@lager.example": ("anna@lager.example", "ANNA@Lager.Example"),
        "anna+news@lager.example": ("Anna+News@lager.example",),
    },
    # A dot counts outside Gmail.
    "a.nna": {"a.nna@lager.example": ("A.nna@lager.example",)},
    "anna of the subdomain": {
        "anna@mail.lager.example": ("anna@mail.lager.example",),
        "anna+b2b@mail.lager.example": ("Anna+b2b@Mail.lager.example",),
    },
    "ute": {
        "ute@bücher.example": ("ute@bücher.example", "UTE@xn--bcher-kva.example", "ute@bu\u0308cher.example"),
        "ute+a@bücher.example": ("Ute+A@BÜCHER.example", "ute+a@xn--bcher-kva.example"),
    },
    "joe": {
        "joe.doe@gmail.com": ("joe.doe@gmail.com", "Joe.Doe@Gmail.com"),
        "j.oedoe@gmail.com": ("j.oedoe@gmail.com",),
        "joedoe+x@googlemail.com": ("JoeDoe+x@googlemail.com",),
    },
}
SPELLINGS = [spelling for addresses in PERSONS.values() for spellings in addresses.values() for spelling in spellings]
DOMAINS = {
    "lager.example": ("lager.example", "Lager.EXAMPLE"),
    "mail.lager.example": ("mail.lager.example",),
    "bücher.example": ("bücher.example", "XN--bcher-kva.example"),
    "example.org": ("example.org",),
}
DOMAIN_SPELLINGS = [spelling for spellings in DOMAINS.values() for spelling in spellings]

_ADDRESSES = {
    spelling.casefold(): (address, person)
    for person, addresses in PERSONS.items()
    for address, spellings in addresses.items()
    for spelling in (address, *spellings)
}
_DOMAINS = {spelling.casefold(): domain for domain, spellings in DOMAINS.items() for spelling in spellings}


def address_of(spelling: str) -> str:
    """Return the address with a spelling."""
    return _ADDRESSES[spelling.casefold()][0]


def person_of(spelling: str) -> str:
    """Return whose address a spelling is."""
    return _ADDRESSES[spelling.casefold()][1]


def domain_of(spelling: str) -> str:
    """Return the domain with a spelling."""
    return _DOMAINS[spelling.casefold()]
