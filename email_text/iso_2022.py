"""Decodes ISO-2022-JP with the additional characters of Windows (CP50220 to CP50222), which Python's codecs reject."""

import re

JAPANESE_ESCAPE = re.compile(rb"\x1b\$[@B]|\x1b\$\([DOQ]|\x1b\([JI]")
"""Matches an escape sequence that only ISO-2022-JP has."""

_MODE = re.compile(rb"\x1b(\$[@B]|\$\([DOPQ]|\([BJIH])|([\x0e\x0f])")
_TWO_BYTES = {b"$@", b"$B", b"$(O", b"$(Q"}
_OTHER_SETS = {b"$(D": 0x8F, b"$(P": 0x8F}
"""Sets of two bytes that are decoded by EUC-JP, with the byte that selects them."""
_KATAKANA = b"(I"
_TO_KATAKANA = bytes(byte | 0x80 if byte in range(0x21, 0x60) else byte for byte in range(256))
_SHIFT_OUT, _SHIFT_IN = b"\x0e", b"\x0f"
_PAIR = re.compile(rb"[\x21-\x7e\xa1-\xfe]{2}|.", re.DOTALL)


def decode_iso_2022_jp(raw: bytes) -> str:
    """Return the text; unknown characters are replaced, and no escape sequence stays in it."""
    pieces: list[str] = []
    mode, is_shifted, start = b"(B", False, 0
    for match in _MODE.finditer(raw):
        pieces.append(_decode_run(raw[start : match.start()], _KATAKANA if is_shifted else mode))
        start = match.end()
        if match[1]:
            mode = match[1]
        else:
            is_shifted = match[2] == _SHIFT_OUT
    pieces.append(_decode_run(raw[start:], _KATAKANA if is_shifted else mode))
    return "".join(pieces).replace("\x1b", "")


def _decode_run(run: bytes, mode: bytes) -> str:
    if mode in _TWO_BYTES:
        pairs = [_to_shift_jis(pair) for pair in _PAIR.findall(run)]
        try:
            return b"".join(pairs).decode("cp932")
        except ValueError:
            return "".join(map(_decode_pair, pairs))
    if selector := _OTHER_SETS.get(mode):
        pairs = [
            bytes((selector, pair[0] | 0x80, pair[1] | 0x80)) if len(pair) > 1 else pair for pair in _PAIR.findall(run)
        ]
        return b"".join(pairs).decode("euc_jp", "replace")
    if mode == _KATAKANA:
        return run.translate(_TO_KATAKANA).decode("cp932", "replace")
    return run.decode("cp932", "replace")


def _to_shift_jis(pair: bytes) -> bytes:
    """Return the bytes of Shift_JIS for two bytes of JIS X 0208; line ends and other single bytes stay."""
    if len(pair) == 1:
        return pair
    row, cell = pair[0] & 0x7F, pair[1] & 0x7F
    lead = (row + 1) // 2 + (0x70 if row < 0x5F else 0xB0)  # noqa: PLR2004 - rows are folded in two blocks
    if row % 2:
        return bytes((lead, cell + (0x1F if cell < 0x60 else 0x20)))  # noqa: PLR2004 - 0x7F is left out
    return bytes((lead, cell + 0x7E))


def _decode_pair(pair: bytes) -> str:
    try:
        return pair.decode("cp932")
    except ValueError:
        return "\N{REPLACEMENT CHARACTER}"
