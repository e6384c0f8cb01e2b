"""HTTP for suppressions."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import IO, Annotated

from fastapi import Form, Query, Response, UploadFile, status
from fastapi.responses import StreamingResponse

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import Forbidden, NotFound, TooLarge, responses
from api.http.pagination import Page, to_page
from api.http.routing import SuppressionId, create_router
from api.people.suppressions import service
from api.people.suppressions.schemas import (
    InvalidLine,
    Kind,
    ReasonOfAddress,
    Sentence,
    SuppressionImport,
    SuppressionIn,
    SuppressionOut,
    SuppressionRemovalOut,
)
from database.models import UserRole
from domain.suppression import SuppressionReason

router = create_router("/api/workspaces/{workspaceId}/suppressions", "suppressions")

SENT_AT_ONCE = 256 * 1024
ExactValue = Annotated[str | None, Query(max_length=254, description="One address, or one `@domain`.")]


@router.get("", operation_id="listSuppressions", responses=responses(NotFound))
async def list_suppressions(
    member: MemberDep,
    page: PageDep,
    reason: SuppressionReason | None = None,
    kind: Kind | None = None,
    value: ExactValue = None,
) -> Page[SuppressionOut]:
    """Who must not be mailed, newest first."""
    found = await service.list_suppressions(
        member.session, member.workspace_id, page, reason=reason, kind=kind, value=value
    )
    return to_page(SuppressionOut, found, page)


@router.post(
    "",
    operation_id="addSuppression",
    status_code=status.HTTP_201_CREATED,
    responses=responses(NotFound)
    | {200: {"model": SuppressionOut, "description": "It was suppressed already; this is what stands."}},
)
async def add_suppression(member: MemberDep, body: SuppressionIn, response: Response) -> SuppressionOut:
    """Never mail an address, or anybody at a domain."""
    stands, is_new = await service.add_suppression(
        member.session,
        member.workspace_id,
        email=body.email,
        domain=body.domain,
        reason=SuppressionReason(body.reason),
        source=body.source,
        at=member.now,
    )
    if not is_new:
        response.status_code = status.HTTP_200_OK
    return SuppressionOut.of(stands)


@router.get("/removals", operation_id="listSuppressionRemovals", responses=responses(NotFound))
async def list_removals(member: MemberDep, page: PageDep, value: ExactValue = None) -> Page[SuppressionRemovalOut]:
    """Which suppressions were removed, by whom and why, newest first."""
    found = await service.list_removals(member.session, member.workspace_id, page, value=value)
    return to_page(SuppressionRemovalOut, found, page)


@router.post("/import", operation_id="importSuppressions", responses=responses(NotFound, TooLarge))
async def import_suppressions(
    member: MemberDep,
    file: UploadFile,
    reason: Annotated[ReasonOfAddress, Form(description="Of addresses whose row has none of its own.")] = "manual",
    source: Annotated[Sentence | None, Form(description="Of rows that have none; by default the file's name.")] = None,
) -> SuppressionImport:
    """Suppress all addresses and domains of a CSV file: our own export, or any file with a column of them.

    All of the file is taken or, on an error, nothing; a row that says nobody is reported and does not hold up others.
    Where an export holds only a hash, that is taken back into the workspace it is from.
    """
    async with AsyncExitStack() as stack:
        async with member.caller.outside_transaction():
            read = await stack.enter_async_context(service.read_upload(file.file))
        taken = await service.import_rows(
            member.session,
            member.workspace_id,
            read,
            reason=SuppressionReason(reason),
            source=source or service.source_of(file.filename),
            now=member.now,
        )
    invalid = [InvalidLine(line=line, value=value, message=message) for line, value, message in taken.invalid]
    return SuppressionImport(
        added=taken.added, already=taken.already, invalid=invalid, invalid_count=taken.invalid_count
    )


@router.get(
    "/export",
    operation_id="exportSuppressions",
    response_class=StreamingResponse,
    responses=responses(NotFound)
    | {
        200: {
            "content": {"text/csv": {"schema": {"type": "string"}}},
            "description": "kind, value, valueHash, reason, source, suppressedAt.",
        }
    },
)
async def export_suppressions(member: MemberDep) -> StreamingResponse:
    """All suppressions as a CSV file, also those of which only the hash is kept; it can be imported again."""
    file = await service.write_export(member.session, member.workspace_id)
    headers = {"Content-Disposition": 'attachment; filename="suppressions.csv"'}
    return StreamingResponse(_pieces(file), media_type="text/csv; charset=utf-8", headers=headers)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(SENT_AT_ONCE):
            yield piece


@router.get("/{suppressionId}", operation_id="getSuppression", responses=responses(NotFound))
async def get_suppression(member: MemberDep, suppression_id: SuppressionId) -> SuppressionOut:
    """One suppression."""
    return SuppressionOut.of(await service.get_suppression(member.session, member.workspace_id, suppression_id))


@router.delete(
    "/{suppressionId}",
    operation_id="removeSuppression",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(NotFound, Forbidden),
)
async def remove_suppression(
    member: MemberDep, suppression_id: SuppressionId, reason: Annotated[Sentence, Query()]
) -> None:
    """Let it be mailed again, and say why; the reason is recorded with who it was.

    What people said themselves (`unsubscribed`, `complaint`), and what is left of somebody erased (`value` is null),
    is for admins. A lead that has unsubscribed stays unsubscribed and is never mailed, whatever is removed here.
    """
    await service.remove_suppression(
        member.session,
        member.workspace_id,
        suppression_id,
        because=reason,
        actor=member.caller.user_id,
        is_admin=member.caller.role is UserRole.ADMIN,
        now=member.now,
    )
