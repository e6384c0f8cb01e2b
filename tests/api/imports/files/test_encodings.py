import io

import pytest

from api.imports.files.encodings import (
    CODECS,
    SAMPLE_BYTES,
    Encoding,
    collect_letters,
    find_codec,
    find_samples,
    rank_encodings,
)
from api.imports.files.text import UnreadableFile, open_text
from tests.api.importing import Imports

NAMES = {
    "windows-1252": "Jörg Müller;Bäckerei Größe;Élodie Lefèvre",
    "windows-1250": "Łukasz Żółkiewski;Grażyna Śliwińska;Dvořák Jiří",
    "windows-1251": "Анна Петрова;Игорь Щукин",
    "windows-1253": "Γιώργος Παπαδόπουλος",
    "windows-1254": "Şükrü Yıldız;Çağrı Öztürk",  # noqa: RUF001
    "windows-1255": "דוד כהן;שרה לוי",
    "windows-1256": "محمد علي;فاطمة",
    "windows-1257": "Jānis Bērziņš;Žydrūnas",
    "windows-874": "สมชาย ใจดี",
    "macintosh": "Jörg Müller;Bäckerei Größe;Élodie Lefèvre",
    "ibm850": "Jörg Müller;Bäckerei Größe;Élodie Lefèvre",
    "ibm437": "Jörg Müller;Bäckerei;José Peña",
    "ibm852": "Łukasz Żółkiewski;Grażyna",
    "ibm866": "Анна Петрова;Игорь Щукин",
    "koi8-r": "Анна Петрова;Игорь Щукин",
    "shift_jis": "健太;高橋;さくら",
    "euc-jp": "健太;高橋;さくら",
    "iso-2022-jp": "健太;高橋;さくら",
    "gb18030": "张伟;王芳;北京科技有限公司",
    "big5": "張偉;王芳;台北公司",
    "euc-kr": "김민수;이영희",
    "utf-8": "Jörg;健太;Анна",
}


def encode(name: str, encoding: str) -> bytes:
    """Return a file of names in an encoding, as a spreadsheet program writes it."""
    rows = "".join(f"{part};{number}@x.example\r\n" for number, part in enumerate(name.split(";")))
    return f"Name;Email\r\n{rows}".encode(CODECS[encoding])


@pytest.mark.parametrize("encoding", NAMES)
def test_names_are_read_in_the_encoding_of_their_program(encoding: str) -> None:
    """A short list of names in each code page is read with the letters that the program wrote."""
    found: list[Encoding] = []
    with open_text(io.BytesIO(encode(NAMES[encoding], encoding)), report=found.append) as text:
        assert [line.partition(";")[0] for line in text.read().splitlines()[1:]] == NAMES[encoding].split(";")
    assert len(found) == 1
    if found[0].samples:
        assert set(found[0].samples) <= set(NAMES[encoding].split(";"))


@pytest.mark.parametrize(("names", "is_sure"), [("健太高", False), ("健太高橋", True), ("健太高橋さ", True)])
def test_three_letters_are_too_few_for_a_sure_guess(names: str, is_sure: bool) -> None:
    """A guess from three characters beyond ASCII is not sure; from four on it can be."""
    assert rank_encodings(names.encode("cp932"))[0] == ("cp932", Encoding("shift_jis", is_sure, (names,)))


def test_a_chosen_encoding_is_used_or_refused() -> None:
    """A chosen encoding is used whatever the letters say; bytes that it does not allow are an error with its name."""
    raw = encode("Jörg Müller", "windows-1252")
    found: list[Encoding] = []
    with open_text(io.BytesIO(raw), codec="cp1251", report=found.append) as text:
        assert "Jцrg Mьller" in text.read()
    assert found == [Encoding("windows-1251", is_sure=True, samples=("Jцrg Mьller",))]
    with pytest.raises(UnreadableFile, match="is not utf-8 text"):
        open_text(io.BytesIO(raw), codec="utf-8")


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("windows-1250", "cp1250"),
        ("CP1250", "cp1250"),
        ("Shift_JIS", "cp932"),
        ("latin-1", "cp1252"),
        ("mac_roman", "mac-roman"),
        ("cp850", "cp850"),
        ("UTF8", "utf-8"),
        ("rot13", None),
        ("zlib", None),
        ("x" * 40, None),
        ("", None),
        ("a\x00b", None),
    ],
)
def test_encodings_are_chosen_by_name_or_alias(name: str, codec: str | None) -> None:
    """Names of the web and of Python are known; codecs that are no encoding of text are not."""
    assert find_codec(name) == codec


def test_the_sample_is_bounded_and_has_whole_lines() -> None:
    """Only lines with bytes beyond ASCII are in the sample, at most 64 KB, and it ends with a line."""
    line = "Müller\n".encode("cp1252")
    raw = (b"plain\n" + line) * 20_000
    sample = collect_letters(io.BytesIO(raw), len(raw))
    assert sample == line * (SAMPLE_BYTES // len(line))
    assert collect_letters(io.BytesIO(b"plain\n"), 100) == b""
    assert collect_letters(io.BytesIO(line), 100) == line


def test_samples_are_the_first_cells_with_foreign_letters() -> None:
    """Five different cells are shown, each without its separators and at most 100 characters long."""
    cells = ["ä" * 100, "ö" * 101, "plain", "Ü b", "Ü b", "é", "è", "ê"]
    assert find_samples(";".join(cells)) == ("ä" * 100, "ö" * 100, "Ü b", "é", "è")


@pytest.mark.anyio
async def test_the_import_shows_the_guess_and_takes_a_choice(imports: Imports) -> None:
    """The answer names the encoding with samples; the form field chooses another, and an unknown one answers 422."""
    raw = encode(NAMES["windows-1250"], "windows-1250")
    made = await imports.uploaded(raw)
    assert made["encoding"] == {"name": "windows-1250", "isSure": True, "samples": NAMES["windows-1250"].split(";")}
    chosen = await imports.uploaded(raw, encoding="windows-1252")
    assert chosen["encoding"]["name"] == "windows-1252"
    assert chosen["encoding"]["samples"][0] == "£ukasz ¯ó³kiewski"
    refused = await imports.upload(raw, encoding="klingon")
    assert refused.status_code == 422
    assert "'klingon' is not a known encoding. Use one of utf-8" in refused.json()["detail"]


@pytest.mark.anyio
async def test_a_control_character_in_a_name_is_refused(imports: Imports) -> None:
    """A row with a control character in a name is invalid and says so; its neighbours become leads."""
    text = "Email,First Name\na@x.example,Ann\nb@x.example,Fran\u008dois\nc@x.example,Cora\n"
    made = await imports.uploaded(text)
    preview = await imports.preview(made)
    assert (preview["new"], preview["invalid"]) == (2, 1)
    assert preview["samples"]["invalid"][0]["reason"].startswith("The first name has a control character.")
