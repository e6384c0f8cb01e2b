"""Who must never be mailed: adding to it, asking it, and taking back what was added by mistake."""

import asyncio
import codecs
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import IO
from uuid import UUID

import polars as pl
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import Forbidden, NotFound, TooLarge
from api.http.pagination import PageRequest
from api.imports.files.text import open_text_reader
from api.people.suppressions import repository
from api.people.suppressions.files import EXPORTED, MOST_SOURCE_CHARACTERS, ReadFile, read_file, read_rows
from database.models import Suppression, SuppressionRemoval
from domain.suppression import SuppressionReason, normalise_address

MOST_ROWS = 1_000_000
SHOWN_INVALID = 100
IN_MEMORY_BYTES = 4 * 1024 * 1024


async def suppress_addresses(
    session: AsyncSession,
    workspace_id: UUID,
    addresses: Sequence[str],
    *,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    """Suppress addresses; returns how many were not before. What the person said outranks an earlier other reason."""
    values = [normalise_address(address) for address in addresses]
    return await repository.add_values(session, workspace_id, values, kind="email", reason=reason, source=source, at=at)


async def suppress_leads(
    session: AsyncSession,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    """Suppress the addresses of leads, deleted ones too; returns how many were not suppressed before."""
    return await repository.add_leads(session, workspace_id, lead_ids, reason=reason, source=source, at=at)


async def suppress_domains(
    session: AsyncSession, workspace_id: UUID, domains: Sequence[str], *, source: str, at: datetime
) -> int:
    """Suppress every address of some domains; returns how many were not suppressed before."""
    values = [normalise_domain(domain) for domain in domains]
    reason = SuppressionReason.DOMAIN
    return await repository.add_values(
        session, workspace_id, values, kind="domain", reason=reason, source=source, at=at
    )


async def is_suppressed(session: AsyncSession, workspace_id: UUID, address: str) -> bool:
    """Say whether an address must not be mailed, itself or by its domain."""
    return await repository.is_suppressed(session, workspace_id, normalise_address(address))


async def lock_suppressions_shared(session: AsyncSession, workspace_id: UUID) -> None:
    """Let no suppression that is not seen now be committed before the caller's transaction is."""
    await repository.lock_shared(session, workspace_id)


async def add_suppression(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    email: str | None,
    domain: str | None,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> tuple[Suppression, bool]:
    """Suppress an address or a domain; returns what stands now, and whether it is new."""
    if email is not None:
        new = await suppress_addresses(session, workspace_id, [email], reason=reason, source=source, at=at)
        value = normalise_address(email)
    else:
        assert domain is not None
        new = await suppress_domains(session, workspace_id, [domain], source=source, at=at)
        value = normalise_domain(domain)
    await repository.lock_exclusive(session, workspace_id)
    stands = await repository.find_by_value(session, workspace_id, value)
    assert stands is not None
    return stands, new > 0


async def list_suppressions(
    session: AsyncSession,
    workspace_id: UUID,
    page: PageRequest,
    *,
    reason: SuppressionReason | None,
    kind: str | None,
    value: str | None,
) -> Sequence[Suppression]:
    """Return the workspace's suppressions, newest first, one more than the page holds.

    `value` finds one address or one `@domain`, also where only its hash is kept.
    """
    return await repository.list_suppressions(
        session, workspace_id, page, reason=reason, kind=kind, value=_normal_or_none(value)
    )


async def get_suppression(session: AsyncSession, workspace_id: UUID, suppression_id: UUID) -> Suppression:
    """Return a suppression; raises NotFound."""
    found = await repository.find_suppression(session, workspace_id, suppression_id)
    if found is None:
        raise NotFound("There is no such suppression.")
    return found


async def remove_suppression(
    session: AsyncSession,
    workspace_id: UUID,
    suppression_id: UUID,
    *,
    because: str,
    actor: UUID,
    is_admin: bool,
    now: datetime,
) -> None:
    """Let an address or a domain be mailed again, with a record of why; a lead that said no stays unsubscribed.

    What people said themselves, and what is left of somebody erased, only an admin removes. Raises NotFound and
    Forbidden.
    """
    if not await repository.delete_suppression(
        session, workspace_id, suppression_id, is_admin=is_admin, because=because, actor=actor, now=now
    ):
        stands = await get_suppression(session, workspace_id, suppression_id)
        if stands.value is None:
            raise Forbidden("This suppression belongs to an erased person. Only an admin of the account can remove it.")
        raise Forbidden(
            f"The recipient asked for this suppression ({stands.reason}). Only an admin of the account can remove it."
        )


async def list_removals(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, *, value: str | None
) -> Sequence[SuppressionRemoval]:
    """Return what was removed, newest first, one more than the page holds; `value` as in `list_suppressions`."""
    return await repository.list_removals(session, workspace_id, page, value=_normal_or_none(value))


@asynccontextmanager
async def read_upload(file: IO[bytes]) -> AsyncIterator[ReadFile]:
    """Open a file of addresses or domains, outside any transaction; raises UnreadableFile."""
    async with open_text_reader(file) as text:
        yield await asyncio.to_thread(read_file, text)


@dataclass(frozen=True, slots=True)
class ImportedRows:
    """What came of a file's rows; `invalid` are (line, cell, what is wrong with it) of the first."""

    added: int
    already: int
    invalid: Sequence[tuple[int, str, str]]
    invalid_count: int


async def import_rows(
    session: AsyncSession, workspace_id: UUID, file: ReadFile, *, reason: SuppressionReason, source: str, now: datetime
) -> ImportedRows:
    """Suppress all that a file says, or nothing of it on an error; raises TooLarge past `MOST_ROWS`.

    `reason` and `source` are those of rows that have none of their own.
    """
    blocks = _blocks(read_rows(file, reason=reason, source=source))
    counts, invalid = await repository.import_rows(session, workspace_id, blocks, now=now, shown=SHOWN_INVALID)
    await repository.lock_exclusive(session, workspace_id)
    shown = [(row.line_number, row.cell, row.problem) for row in invalid]
    return ImportedRows(counts.added, counts.sound - counts.added, shown, counts.invalid)


async def _blocks(read: Iterator[pl.DataFrame]) -> AsyncIterator[bytes]:
    """Yield rows as CSV, a block in memory at a time, each made in a thread."""
    rows = 0
    while (frame := await asyncio.to_thread(next, read, None)) is not None:
        rows += frame.height
        if rows > MOST_ROWS:
            raise TooLarge(f"The file has more than the {MOST_ROWS:,} rows that one file can have. Split it.")
        yield (await asyncio.to_thread(frame.write_csv, include_header=False)).encode()


async def write_export(session: AsyncSession, workspace_id: UUID) -> IO[bytes]:
    """Return all suppressions of the workspace as a CSV file, at its start."""
    target = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - whoever sends it closes it
    target.write(codecs.BOM_UTF8 + f"{','.join(EXPORTED)}\n".encode())
    async for piece in repository.export_rows(session, workspace_id):
        target.write(piece)
    target.seek(0)
    return target


def source_of(file_name: str | None) -> str:
    """Return what to call a file as the source of suppressions."""
    name = PurePath((file_name or "").replace("\x00", "").replace("\\", "/")).name or "a file"
    return f"imported from {name}"[:MOST_SOURCE_CHARACTERS]


def normalise_domain(domain: str) -> str:
    """Return how a domain is written among suppressions: `@example.com`."""
    return f"@{domain.strip().lower().removeprefix('@')}"


def _normal_or_none(value: str | None) -> str | None:
    return normalise_address(value) if value is not None else None
