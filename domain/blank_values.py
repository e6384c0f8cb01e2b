"""Tells the texts that people and programs write for a missing value from real ones, such as the surname Null."""

import unicodedata

# Of programs, then of people in English, German, French, Dutch, Afrikaans, Spanish, Portuguese and Italian.
_LIST = r"""
    null, (null), <null>, \n, nil, none, (none), [none], nan, n/a, #n/a, n.a., n. a., na, #na, #null!, #ref!,
    #value!, #name?, #div/0!, undefined, (blank), [blank], <blank>, (empty), [empty], <empty>, not set,
    (not set), no value, (no value), (no name), no name, not available, not applicable, not specified,
    not provided, not given, unknown, (unknown), [unknown], <unknown>, tbd, k.a., k. a., keine angabe, keine,
    nicht angegeben, nicht bekannt, unbekannt, (leer), entfällt, n.c., n.r., non renseigné, non renseignée,
    non communiqué, non disponible, inconnu, inconnue, aucun, aucune, (vide), n.v.t., nvt, n.b., onbekend,
    (onbekend), geen, (leeg), niet bekend, niet ingevuld, nie beskikbaar nie, n/d, n.d., s/d, s/n, desconocido,
    desconocida, sin datos, sin nombre, no disponible, ninguno, ninguna, (vacío), (en blanco), desconhecido,
    desconhecida, não informado, nao informado, não disponível, sem nome, nenhum, (vazio), sconosciuto,
    sconosciuta, non disponibile, non specificato, nessuno, (vuoto)
"""
_WORDS = frozenset(word.strip() for word in _LIST.split(","))
_NAMES = frozenset({"null", "none", "nan", "na", "nil", "keine", "geen", "aucun", "unknown"})
"""Words for a missing value that are also the names of people."""
_FIRST_NAMES = frozenset({"nan", "na", "nil"})
_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that show nothing."""
MAX_CHARACTERS = 100
"""No word for a missing value is longer."""


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing, is only marks such as `-` or `???`, or is a word for a missing value."""
    if any(map(_is_significant, text)) and len(text) > MAX_CHARACTERS:
        return False
    shown = "".join(character for character in text if _is_shown(character)).strip()
    return not any(map(_is_significant, shown)) or " ".join(shown.casefold().split()) in _WORDS


def is_blank_first_name(name: str) -> bool:
    """Return whether a first name is a word for a missing value; `Nan` and `Na` are names, `NaN` and `null` are not."""
    return is_blank(name) and not (name.strip().casefold() in _FIRST_NAMES and name.strip().istitle())


def is_blank_last_name(name: str, first_name: str) -> bool:
    """Return whether a last name is a word for a missing value.

    `Null` is a surname where it is written like one: with a capital letter, or in the same case as a first name before
    it, such as `JENNIFER NULL`.
    """
    if not is_blank(name):
        return False
    bare, first = name.strip(), first_name.strip()
    if bare.casefold() not in _NAMES:
        return True
    is_like_first = bool(first) and not is_blank_first_name(first)
    same_case = (bare.isupper() and first.isupper() and len(first) > 1) or (bare.islower() and first.islower())
    return not (bare.istitle() or (is_like_first and same_case))


def _is_shown(character: str) -> bool:
    return character not in _INVISIBLE and unicodedata.category(character) not in {"Cc", "Cf", "Cn", "Co", "Cs"}


def _is_significant(character: str) -> bool:
    """Return whether a character says something: a letter, a digit, or a symbol such as an emoji."""
    category = unicodedata.category(character)
    return (category[0] in "LN" or category == "So") and character not in _INVISIBLE
