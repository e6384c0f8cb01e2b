"""Adds, checks, imports, exports and removes suppressions."""

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

from api.http.errors import Forbidden, TooLarge, or_404
from api.http.pagination import PageRequest
from api.http.parsing import RunParser
from api.imports.files.text import open_text_reader
from api.people.suppressions import repository
from api.people.suppressions.files import EXPORTED, MOST_SOURCE_CHARACTERS, ReadFile, RowDefaults, read_file, read_rows
from database.models import Suppression, SuppressionRemoval
from domain.suppression import SuppressionReason, SuppressionScope, default_scope, normalise_address

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
    scope: SuppressionScope | None = None,
) -> int:
    """Suppress addresses; returns how many are new. A reason given by the recipient replaces another reason.

    Without a scope, the reason decides (`default_scope`), here and below.
    """
    values = [normalise_address(address) for address in addresses]
    scope = scope or default_scope(reason)
    return await repository.add_values(
        session, workspace_id, values, kind="email", reason=reason, source=source, at=at, scope=scope
    )


async def suppress_hashes(
    session: AsyncSession,
    workspace_id: UUID,
    hashes: Sequence[str],
    *,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    """Suppress erased addresses by their hashes, as `suppress_addresses` does; returns how many are new."""
    scope = default_scope(reason)
    return await repository.add_hashes(session, workspace_id, hashes, reason=reason, source=source, at=at, scope=scope)


async def suppress_leads(
    session: AsyncSession,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    """Suppress the addresses of leads, deleted or not; returns how many are new."""
    scope = default_scope(reason)
    return await repository.add_leads(session, workspace_id, lead_ids, reason=reason, source=source, at=at, scope=scope)


async def suppress_domains(
    session: AsyncSession,
    workspace_id: UUID,
    domains: Sequence[str],
    *,
    source: str,
    at: datetime,
    scope: SuppressionScope | None = None,
    include_subdomains: bool = False,
) -> int:
    """Suppress all addresses of some domains; returns how many are new. A domain never gets narrower."""
    values = [normalise_domain(domain) for domain in domains]
    reason = SuppressionReason.DOMAIN
    return await repository.add_values(
        session,
        workspace_id,
        values,
        kind="domain",
        reason=reason,
        source=source,
        at=at,
        scope=scope or default_scope(reason),
        include_subdomains=include_subdomains,
    )


async def is_suppressed(session: AsyncSession, workspace_id: UUID, address: str) -> bool:
    """Return whether an address or its domain is suppressed."""
    return await repository.is_suppressed(session, workspace_id, normalise_address(address))


async def has_refused(session: AsyncSession, workspace_id: UUID, address: str) -> bool:
    """Return whether the owner of an address has unsubscribed or complained, in any spelling of it."""
    return await repository.has_refused(session, workspace_id, normalise_address(address))


async def lock_suppressions_shared(session: AsyncSession, account_id: UUID) -> None:
    """Make new suppressions of the account wait to commit until this transaction ends; call it last."""
    await repository.lock_shared(session, account_id)


async def add_suppression(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    email: str | None,
    domain: str | None,
    reason: SuppressionReason,
    source: str,
    at: datetime,
    scope: SuppressionScope | None = None,
    include_subdomains: bool = False,
) -> tuple[Suppression, bool]:
    """Suppress an address or a domain; returns the suppression, and whether it is new."""
    scope = scope or default_scope(reason)
    if email is not None:
        new = await suppress_addresses(session, workspace_id, [email], reason=reason, source=source, at=at, scope=scope)
        value = normalise_address(email)
    else:
        assert domain is not None
        new = await suppress_domains(
            session,
            workspace_id,
            [domain],
            source=source,
            at=at,
            scope=scope,
            include_subdomains=include_subdomains,
        )
        value = normalise_domain(domain)
    suppression = await repository.find_by_value(session, workspace_id, value, scope)
    assert suppression is not None
    return suppression, new > 0


async def list_suppressions(
    session: AsyncSession,
    workspace_id: UUID,
    page: PageRequest,
    *,
    reason: SuppressionReason | None,
    kind: str | None,
    scope: SuppressionScope | None,
    value: str | None,
) -> Sequence[Suppression]:
    """Return the suppressions that count in the workspace, newest first, one more than the page holds.

    `value` finds one address, in any spelling, or one `@domain`, also if only its hash is stored.
    """
    return await repository.list_suppressions(
        session, workspace_id, page, reason=reason, kind=kind, scope=scope, value=_normal_or_none(value)
    )


async def get_suppression(session: AsyncSession, workspace_id: UUID, suppression_id: UUID) -> Suppression:
    """Return a suppression; raises NotFound."""
    suppression = await repository.find_suppression(session, workspace_id, suppression_id)
    return or_404(suppression, "There is no such suppression.")


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
    """Remove a suppression and record why; a lead that has unsubscribed stays unsubscribed.

    Only admins can remove what counts for the whole account, what a recipient asked for and the suppression of an
    erased lead. Raises NotFound and Forbidden.
    """
    if not await repository.delete_suppression(
        session, workspace_id, suppression_id, is_admin=is_admin, because=because, actor=actor, now=now
    ):
        suppression = await get_suppression(session, workspace_id, suppression_id)
        if suppression.value is None:
            raise Forbidden("This suppression belongs to an erased person. Only an admin of the account can remove it.")
        if suppression.scope is SuppressionScope.ACCOUNT:
            raise Forbidden(
                f"This suppression ({suppression.reason}) counts for the whole account. "
                "Only an admin of the account can remove it."
            )
        raise Forbidden(
            f"The recipient asked for this suppression ({suppression.reason}). "
            "Only an admin of the account can remove it."
        )


async def list_removals(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, *, value: str | None
) -> Sequence[SuppressionRemoval]:
    """Return removed suppressions, newest first, one more than the page holds; `value` as in `list_suppressions`."""
    return await repository.list_removals(session, workspace_id, page, value=_normal_or_none(value))


@asynccontextmanager
async def read_upload(file: IO[bytes], run_parser: RunParser = asyncio.to_thread) -> AsyncIterator[ReadFile]:
    """Open a file of addresses or domains, outside any transaction; raises UnreadableFile."""
    async with open_text_reader(file, run_parser=run_parser) as text:
        yield await run_parser(read_file, text)


@dataclass(frozen=True, slots=True)
class ImportedRows:
    """The result of an import; `invalid` has (line, cell, problem) of the first invalid rows."""

    added: int
    already: int
    invalid: Sequence[tuple[int, str, str]]
    invalid_count: int


async def import_rows(
    session: AsyncSession,
    workspace_id: UUID,
    file: ReadFile,
    *,
    defaults: RowDefaults,
    now: datetime,
    run_parser: RunParser = asyncio.to_thread,
) -> ImportedRows:
    """Suppress all addresses and domains of a file, or none on an error; raises TooLarge for too many rows."""
    blocks = _blocks(read_rows(file, defaults), run_parser)
    counts, invalid = await repository.import_rows(session, workspace_id, blocks, now=now, shown=SHOWN_INVALID)
    shown = [(row.line_number, row.cell, row.problem) for row in invalid]
    return ImportedRows(counts.added, counts.sound - counts.added, shown, counts.invalid)


async def _blocks(read: Iterator[pl.DataFrame], run_parser: RunParser) -> AsyncIterator[bytes]:
    """Yield rows as CSV, with one block in memory at a time; a thread reads and writes each block."""
    rows = 0
    while (frame := await run_parser(next, read, None)) is not None:
        rows += frame.height
        if rows > MOST_ROWS:
            raise TooLarge(f"The file has more than {MOST_ROWS:,} rows. Split it and import the parts.")
        yield (await run_parser(frame.write_csv, include_header=False)).encode()


async def write_export(session: AsyncSession, workspace_id: UUID) -> IO[bytes]:
    """Return all suppressions that count in the workspace as a CSV file at its start."""
    target = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - the response closes it
    target.write(codecs.BOM_UTF8 + f"{','.join(EXPORTED)}\n".encode())
    async for chunk in repository.export_rows(session, workspace_id):
        target.write(chunk)
    target.seek(0)
    return target


def source_of(file_name: str | None) -> str:
    """Return the source of suppressions that are imported from a file."""
    name = PurePath((file_name or "").replace("\x00", "").replace("\\", "/")).name or "a file"
    return f"imported from {name}"[:MOST_SOURCE_CHARACTERS]


def normalise_domain(domain: str) -> str:
    """Return a domain as suppressions store it: `@example.com`."""
    return normalise_address(f"@{domain.strip().removeprefix('@')}")


def _normal_or_none(value: str | None) -> str | None:
    return normalise_address(value) if value is not None else None
