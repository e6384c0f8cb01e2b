import pytest

from domain.words import fold_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("E-Mail_Adresse", "e mail adresse"),
        ("  Größe (MA)  ", "grosse ma"),
        ("Prénom / Société", "prenom societe"),
        ("Bjørn Łukasz Cœur Æsir ađo", "bjorn lukasz coeur aesir ado"),
        ("n\u0131r", "nir"),
        ("e\u0301te\u0301", "ete"),
        ("51\u00a0-\u00a0200", "51 200"),
        ("姓名", ""),
        ("", ""),
    ],
)
def test_spellings_become_one(text: str, words: str) -> None:
    """Case, accents, marks and letters without a plain form make no difference; other scripts have no words."""
    assert fold_words(text) == words
