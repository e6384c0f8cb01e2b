r"""Converts an uploaded file of any kind to text on disk with \n as line ending, or reports why it is not a table."""

import asyncio
import gzip
import tempfile
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from threading import Event
from typing import IO, cast

from api.imports.files.decoding import CHUNK_BYTES, decode, guess_encodings
from api.imports.files.errors import UnreadableFile
from api.imports.files.kinds import GZIP, OLD_OFFICE, ZIP, detect_unreadable_kind
from api.imports.files.workbook import read_sheet_as_csv

__all__ = ["MOST_BYTES", "UnreadableFile", "open_text", "open_text_reader"]

MOST_BYTES = 1024**3
DIRECTORY_AT = 48
DIRECTORY_BYTES = 4096


@asynccontextmanager
async def open_text_reader(source: IO[bytes], *, sheet: str | None = None) -> AsyncIterator[IO[str]]:
    """Open a file like `open_text`, in a thread; if the caller is cancelled the work ends at once."""
    stop = Event()
    opening = asyncio.create_task(asyncio.to_thread(open_text, source, sheet=sheet, stop=stop))
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
    source: IO[bytes], *, sheet: str | None = None, most_bytes: int = MOST_BYTES, stop: Event | None = None
) -> IO[str]:
    r"""Return a file as a temporary text file, at its start, every line ended by \n; raises UnreadableFile.

    A table is text in any encoding, optionally compressed with gzip, or a sheet of an Excel workbook: the one called
    `sheet`, or else the first visible sheet that is not empty. At most `most_bytes` of unpacked text are read. If
    another thread sets `stop`, this raises ReadingStopped.
    """
    stop = stop or Event()
    source.seek(0)
    is_packed = source.read(len(GZIP)) == GZIP
    source.seek(0)
    if not is_packed:
        return _open(source, sheet, most_bytes, stop)
    try:
        return _open(cast("IO[bytes]", gzip.GzipFile(fileobj=source)), sheet, most_bytes, stop)
    except EOFError as error:
        raise UnreadableFile("The compressed file is truncated. Upload it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFile("The compressed file is damaged. Compress it again and upload it.") from error


def _open(source: IO[bytes], sheet: str | None, most_bytes: int, stop: Event) -> IO[str]:
    head = source.read(CHUNK_BYTES)
    if not head:
        raise UnreadableFile("The file is empty.")
    if head.startswith(ZIP):
        source.seek(0)
        with read_sheet_as_csv(source, sheet, most_bytes=most_bytes, stop=stop) as written:
            return _decoded(written, [("utf-8", "strict")], most_bytes, stop)
    if refusal := detect_unreadable_kind(
        head, _directory(source, head, most_bytes) if head.startswith(OLD_OFFICE) else b""
    ):
        raise UnreadableFile(refusal)
    return _decoded(source, guess_encodings(head), most_bytes, stop)


def _directory(source: IO[bytes], head: bytes, most_bytes: int) -> bytes:
    """Return the beginning of the directory of an old Office file; its header has the position ([MS-CFB] 2.2)."""
    sector_bytes = 1 << min(head[30], 12) if len(head) > DIRECTORY_AT else 0
    position = (int.from_bytes(head[DIRECTORY_AT : DIRECTORY_AT + 4], "little") + 1) * sector_bytes
    if position > most_bytes:
        return b""
    source.seek(position)
    return source.read(DIRECTORY_BYTES)


def _decoded(source: IO[bytes], encodings: Sequence[tuple[str, str]], most_bytes: int, stop: Event) -> IO[str]:
    """Return the text, decoded with the first encoding that fits."""
    failed: UnicodeDecodeError | None = None
    for encoding in encodings:
        source.seek(0)
        target = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115 - the caller closes it
        try:
            decode(source, target, encoding, most_bytes=most_bytes, stop=stop)
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
    raise UnreadableFile(f"The file begins as {failed.encoding} text and is truncated: {failed.reason}.") from failed
