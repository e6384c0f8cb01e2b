"""Guesses the encoding of text that is not UTF-8, and names the encodings that a caller can choose."""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

import chardet

SAMPLE_BYTES = 64 * 1024
CHUNK_BYTES = 1024 * 1024
MAX_SAMPLES = 5
MAX_SAMPLE_CHARACTERS = 100
SURE = 1.05
"""How many times better than the next one a guess is that is sure."""
ODD_WEIGHT = 4
FEWEST_LETTERS = 4
"""The least characters beyond ASCII from which a guess can be sure."""

CODECS = {
    "utf-8": "utf-8", "utf-16": "utf-16", "windows-1252": "cp1252", "windows-1250": "cp1250",
    "windows-1251": "cp1251", "windows-1253": "cp1253", "windows-1254": "cp1254", "windows-1255": "cp1255",
    "windows-1256": "cp1256", "windows-1257": "cp1257", "windows-1258": "cp1258", "windows-874": "cp874",
    "shift_jis": "cp932", "euc-kr": "cp949", "gb18030": "gb18030", "big5": "big5hkscs", "euc-jp": "euc_jis_2004",
    "iso-2022-jp": "iso2022_jp_2", "macintosh": "mac-roman", "x-mac-ce": "mac-latin2",
    "x-mac-cyrillic": "mac-cyrillic", "ibm850": "cp850", "ibm437": "cp437", "ibm852": "cp852", "ibm866": "cp866",
    "koi8-r": "koi8-r", "koi8-u": "koi8-u", "iso-8859-2": "iso8859-2", "iso-8859-5": "iso8859-5",
    "iso-8859-7": "iso8859-7", "iso-8859-9": "iso8859-9", "iso-8859-15": "iso8859-15",
}  # fmt: skip
"""Python's codecs by the names of the encodings, those of Windows first: of equal guesses the first one counts."""
_GUESSED = {codec: name for name, codec in CODECS.items() if not name.startswith(("utf", "iso-2022"))}
_RARE = ("iso8859", "cp437")
_BESIDE_LETTERS = frozenset("\u2019\u2018\u201c\u201d\u2013\u2014\u2026\u00b7\u00ba\u00aa\u00ae\u2122\u00a9\u00b0")
_CELL = re.compile(r"[^,;\t|\"\r\n]*[^\x00-\x7f,;\t|\"\r\n][^,;\t|\"\r\n]*")


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding, whether it is sure, and some cells as it reads them."""

    name: str
    is_sure: bool = True
    samples: tuple[str, ...] = ()


def find_codec(name: str) -> str | None:
    """Return Python's codec of an encoding that a caller names, also by an alias; None if it is not known."""
    if codec := CODECS.get(name.strip().lower()):
        return codec
    try:
        codec = codecs.lookup(name.strip()).name
    except (LookupError, ValueError):
        return None
    known = {codecs.lookup(known).name: known for known in CODECS.values()}
    return known.get({"iso8859-1": "cp1252", "shift_jis": "cp932", "big5": "big5hkscs"}.get(codec, codec))


def name_of(codec: str) -> str:
    """Return the name of an encoding by its codec."""
    return next((name for name, known in CODECS.items() if known == codec), codec.removesuffix("-sig"))


def collect_letters(source: IO[bytes], most_bytes: int) -> bytes:
    """Return the first lines of a file that have bytes beyond ASCII, at most SAMPLE_BYTES; reads the file once."""
    source.seek(0)
    sample, left = bytearray(), most_bytes
    while left > 0 and len(sample) < SAMPLE_BYTES and (chunk := source.read(CHUNK_BYTES)):
        left -= len(chunk)
        if not chunk.isascii():
            lines = [line for line in chunk.splitlines(keepends=True) if not line.isascii()]
            sample += b"".join(lines)[:SAMPLE_BYTES]
    source.seek(0)
    # A line that is cut could end within a character.
    cut = bytes(sample[:SAMPLE_BYTES])
    return cut[: max(cut.rfind(b"\n"), cut.rfind(b"\r")) + 1] or cut


def rank_encodings(sample: bytes) -> Sequence[tuple[str, Encoding]]:
    """Return the codecs and encodings that can read a sample of lines, most likely first.

    The detector knows which letters languages use; among its candidates those lose in which signs or capital letters
    stand within words, because names are short and several code pages give letters everywhere.
    """
    found = chardet.detect_all(
        sample, ignore_threshold=True, compat_names=False, include_encodings=_GUESSED, max_bytes=SAMPLE_BYTES
    )
    scores: list[tuple[float, str, str]] = []
    for guess in found:
        codec = guess["encoding"]
        if codec not in _GUESSED or (text := _decode(sample, codec)) is None:
            continue
        rareness = 0.97 if codec.startswith(_RARE) else 1.0
        scores.append((guess["confidence"] * rareness * (1 - _odd_share(text)) ** ODD_WEIGHT, codec, text))
    order = list(_GUESSED)
    scores.sort(key=lambda entry: (-entry[0], order.index(entry[1])))
    ranked = []
    for position, (score, codec, text) in enumerate(scores):
        others = [other for other, _, read in scores[position + 1 :] if read != text]
        is_best = position == 0 and score > 0 and (not others or score >= others[0] * SURE)
        is_sure = is_best and sum(character > "\x7f" for character in text) >= FEWEST_LETTERS
        ranked.append((codec, Encoding(_GUESSED[codec], is_sure, find_samples(text))))
    return ranked


def find_samples(text: str) -> tuple[str, ...]:
    """Return the first different cells of a text with letters beyond ASCII."""
    cells: dict[str, None] = {}
    for match in _CELL.finditer(text):
        cells.setdefault(match[0].strip()[:MAX_SAMPLE_CHARACTERS])
        if len(cells) == MAX_SAMPLES:
            break
    return tuple(cells)


def _decode(sample: bytes, codec: str) -> str | None:
    try:
        return sample.decode(codec)
    except UnicodeDecodeError:
        # Only a cut line may end within a character.
        return None


def _odd_share(text: str) -> float:
    """Return the share (0 to 1) of characters beyond ASCII that stand where a name has no such character."""
    wide, odd = 0, 0.0
    for before, character, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        if character >= "\x80":
            wide += 1
            odd += _oddness(before, character, after)
    return odd / wide if wide else 0.0


def _oddness(before: str, character: str, after: str) -> float:
    """Return how odd (0 to 1) a character beyond ASCII is between two others."""
    if not character.isalpha():
        is_beside_letter = (before.isalpha() or after.isalpha()) and character not in _BESIDE_LETTERS
        return float(is_beside_letter or character < "\xa0" or "\u2500" <= character <= "\u25ff")
    if character.isupper():
        return float(before.islower() or (before.isupper() and after.islower()))
    if character.islower() and not before.isalpha():
        return 0.5  # names begin with a capital letter
    return float(character.islower() and before.isupper() and after.isupper())
