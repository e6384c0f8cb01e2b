r"""Converts an uploaded file of any kind to text on disk with \n as line ending, or reports why it is not a table."""

import asyncio
import gzip
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import Event
from typing import IO, cast

from api.http.parsing import RunParser
from api.imports.files.decoding import CHUNK_BYTES, decode, guess_encodings
from api.imports.files.encodings import Encoding, collect_letters, find_samples, name_of, rank_encodings
from api.imports.files.errors import UnreadableEncoding, UnreadableFile
from api.imports.files.kinds import GZIP, OLD_OFFICE, ZIP, detect_unreadable_kind
from api.imports.files.workbook import read_sheet_as_csv

__all__ = ["MOST_BYTES", "UnreadableFile", "open_text", "open_text_reader"]

MOST_BYTES = 1024**3
MOST_GUESSES = 5
"""The most encodings by which a whole file is decoded."""
DIRECTORY_AT = 48
DIRECTORY_BYTES = 4096


@asynccontextmanager
async def open_text_reader(
    source: IO[bytes],
    *,
    sheet: str | None = None,
    codec: str | None = None,
    report: Callable[[Encoding], None] | None = None,
    run_parser: RunParser = asyncio.to_thread,
) -> AsyncIterator[IO[str]]:
    """Open a file like `open_text`, in a thread of `run_parser`; if the caller is cancelled the work ends at once."""
    stop = Event()
    opening = asyncio.create_task(run_parser(open_text, source, sheet=sheet, stop=stop, codec=codec, report=report))
    try:
        text = await asyncio.shield(opening)
    except asyncio.CancelledError:
        stop.set()
        # The caller closes `source`, so wait until the thread no longer reads it.
        (opened,) = await asyncio.gather(opening, return_exceptions=True)
        if not isinstance(opened, BaseException):
            opened.close()
        raise
    with text:
        yield text


def open_text(
    source: IO[bytes],
    *,
    sheet: str | None = None,
    most_bytes: int = MOST_BYTES,
    stop: Event | None = None,
    codec: str | None = None,
    report: Callable[[Encoding], None] | None = None,
) -> IO[str]:
    r"""Return a file as a temporary text file, at its start, every line ended by \n; raises UnreadableFile.

    A table is text in any encoding, optionally compressed with gzip, or a sheet of an Excel workbook: the one called
    `sheet`, or else the first visible sheet that is not empty. At most `most_bytes` of unpacked text are read. If
    another thread sets `stop`, this raises ReadingStopped. Text is decoded with `codec`, or else with the encoding that
    its letters make most likely, which `report` gets.
    """
    stop = stop or Event()
    decoding = _Decoding(most_bytes, stop, codec, report)
    source.seek(0)
    is_packed = source.read(len(GZIP)) == GZIP
    source.seek(0)
    if not is_packed:
        return _open(source, sheet, decoding)
    try:
        return _open(cast("IO[bytes]", gzip.GzipFile(fileobj=source)), sheet, decoding)
    except EOFError as error:
        raise UnreadableFile("The compressed file is truncated. Upload it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFile("The compressed file is damaged. Compress it again and upload it.") from error


@dataclass(frozen=True, slots=True)
class _Decoding:
    """How text is decoded: its limit, who may stop it, and the chosen codec or who is told the guess."""

    most_bytes: int
    stop: Event
    codec: str | None
    report: Callable[[Encoding], None] | None


def _open(source: IO[bytes], sheet: str | None, decoding: _Decoding) -> IO[str]:
    head = source.read(CHUNK_BYTES)
    if not head:
        raise UnreadableFile("The file is empty.")
    if head.startswith(ZIP):
        source.seek(0)
        with read_sheet_as_csv(source, sheet, most_bytes=decoding.most_bytes, stop=decoding.stop) as written:
            return _decoded(written, [("utf-8", "strict")], decoding)
    if refusal := detect_unreadable_kind(
        head, _directory(source, head, decoding.most_bytes) if head.startswith(OLD_OFFICE) else b""
    ):
        raise UnreadableFile(refusal)
    return _decode_text(source, head, decoding)


def _decode_text(source: IO[bytes], head: bytes, decoding: _Decoding) -> IO[str]:
    """Return the text of a file that is no workbook, and report its encoding."""
    report = decoding.report or (lambda _: None)
    if decoding.codec is not None:
        try:
            text = _decoded(source, [(decoding.codec, "strict")], decoding)
        except UnreadableEncoding as error:
            raise UnreadableEncoding(
                f"The file is not {name_of(decoding.codec)} text. Set another encoding."
            ) from error
        letters = collect_letters(source, decoding.most_bytes).decode(decoding.codec, "ignore")
        report(Encoding(name_of(decoding.codec), is_sure=True, samples=find_samples(letters)))
        return text
    candidates = guess_encodings(head)
    try:
        text = _decoded(source, candidates[:1], decoding)
        report(Encoding(name_of(candidates[0][0])))
    except UnreadableEncoding:
        if candidates[0][0] != "utf-8":
            raise
    else:
        return text
    sample = collect_letters(source, decoding.most_bytes)
    if candidates[1:]:  # UTF-8 with a few errors
        report(Encoding("utf-8", is_sure=False, samples=find_samples(sample.decode("utf-8", "replace"))))
        return _decoded(source, candidates[1:], decoding)
    for codec, encoding in rank_encodings(sample)[:MOST_GUESSES]:
        try:
            text = _decoded(source, [(codec, "strict")], decoding)
        except UnreadableEncoding:
            continue
        report(encoding)
        return text
    raise UnreadableFile("The character encoding of the file is not known. Save it as UTF-8, or set encoding.")


def _directory(source: IO[bytes], head: bytes, most_bytes: int) -> bytes:
    """Return the beginning of the directory of an old Office file; its header has the position ([MS-CFB] 2.2)."""
    sector_bytes = 1 << min(head[30], 12) if len(head) > DIRECTORY_AT else 0
    position = (int.from_bytes(head[DIRECTORY_AT : DIRECTORY_AT + 4], "little") + 1) * sector_bytes
    if position > most_bytes:
        return b""
    source.seek(position)
    return source.read(DIRECTORY_BYTES)


def _decoded(source: IO[bytes], encodings: Sequence[tuple[str, str]], decoding: _Decoding) -> IO[str]:
    """Return the text, decoded with the first encoding that fits; raises UnreadableEncoding."""
    failed: UnicodeDecodeError | None = None
    for encoding in encodings:
        source.seek(0)
        target = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115 - the caller closes it
        try:
            decode(source, target, encoding, most_bytes=decoding.most_bytes, stop=decoding.stop)
        except UnicodeDecodeError as error:
            target.close()
            failed = error
        except BaseException:
            target.close()
            raise
        else:
            target.seek(0)
            return target
    assert failed is not None
    raise UnreadableEncoding(
        f"The file begins as {failed.encoding} text and is truncated: {failed.reason}. Upload it again."
    ) from failed
