"""HTTP for suppressions."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import IO, Annotated

from fastapi import Form, Query, Response, UploadFile, status
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import Forbidden, NotFound, TooLarge, responses
from api.http.pagination import Page, to_page
from api.http.routing import SuppressionId, create_router
from api.people.suppressions import service
from api.people.suppressions.files import RowDefaults
from api.people.suppressions.schemas import (
    InvalidLine,
    Kind,
    ReasonOfAddress,
    Sentence,
    SuppressionImport,
    SuppressionIn,
    SuppressionOut,
    SuppressionRemovalOut,
    exact_value,
)
from database.models import UserRole
from domain.suppression import SuppressionReason, SuppressionScope

router = create_router("/api/workspaces/{workspaceId}/suppressions", "suppressions")

CHUNK_BYTES = 256 * 1024
ExactValue = Annotated[
    Annotated[str, AfterValidator(exact_value)] | None,
    Query(max_length=254, description="One address, or one `@domain`; any other text is refused."),
]


@router.get("", operation_id="listSuppressions", responses=responses(NotFound))
async def list_suppressions(
    member: MemberDep,
    page: PageDep,
    reason: SuppressionReason | None = None,
    kind: Kind | None = None,
    scope: SuppressionScope | None = None,
    value: ExactValue = None,
) -> Page[SuppressionOut]:
    """List the suppressions that count in the workspace, newest first: its own, and those of its account."""
    found = await service.list_suppressions(
        member.session, member.workspace_id, page, reason=reason, kind=kind, scope=scope, value=value
    )
    return to_page(SuppressionOut, found, page)


@router.post(
    "",
    operation_id="addSuppression",
    status_code=status.HTTP_201_CREATED,
    responses=responses(NotFound)
    | {200: {"model": SuppressionOut, "description": "It was suppressed before; this is the existing suppression."}},
)
async def add_suppression(member: MemberDep, body: SuppressionIn, response: Response) -> SuppressionOut:
    """Suppress an address in all its spellings, or all addresses of a domain.

    A domain that is suppressed already is changed to include its subdomains, never the other way.
    """
    suppression, is_new = await service.add_suppression(
        member.session,
        member.workspace_id,
        email=body.email,
        domain=body.domain,
        reason=SuppressionReason(body.reason if body.domain is None else SuppressionReason.DOMAIN),
        source=body.source,
        at=member.now,
        scope=body.scope,
        include_subdomains=body.include_subdomains,
    )
    if not is_new:
        response.status_code = status.HTTP_200_OK
    return SuppressionOut.of(suppression)


@router.get("/removals", operation_id="listSuppressionRemovals", responses=responses(NotFound))
async def list_removals(member: MemberDep, page: PageDep, value: ExactValue = None) -> Page[SuppressionRemovalOut]:
    """List removed suppressions, with the user and the reason, newest first."""
    found = await service.list_removals(member.session, member.workspace_id, page, value=value)
    return to_page(SuppressionRemovalOut, found, page)


@router.post("/import", operation_id="importSuppressions", responses=responses(NotFound, TooLarge))
async def import_suppressions(
    member: MemberDep,
    file: UploadFile,
    reason: Annotated[ReasonOfAddress, Form(description="The reason of addresses whose row has none.")] = "manual",
    source: Annotated[Sentence | None, Form(description="The source of rows without one; by default the file.")] = None,
    scope: Annotated[
        SuppressionScope | None,
        Form(description="Where rows count that do not say so. By default their reason decides, as in addSuppression."),
    ] = None,
) -> SuppressionImport:
    """Suppress all addresses and domains of a CSV file: our own export, or any file with a column of them.

    On an error nothing is imported. Rows without an address or domain are reported, and the other rows are imported.
    A row of an export that has only a hash can be imported into a workspace of the same account.
    """
    run_parser = member.services.files.of(member.workspace_id)
    async with AsyncExitStack() as stack:
        async with member.caller.outside_transaction():
            read = await stack.enter_async_context(service.read_upload(file.file, run_parser))
        result = await service.import_rows(
            member.session,
            member.workspace_id,
            read,
            defaults=RowDefaults(SuppressionReason(reason), source or service.source_of(file.filename), scope),
            now=member.now,
            run_parser=run_parser,
        )
    invalid = [InvalidLine(line=line, value=value, message=message) for line, value, message in result.invalid]
    return SuppressionImport(
        added=result.added, already=result.already, invalid=invalid, invalid_count=result.invalid_count
    )


@router.get(
    "/export",
    operation_id="exportSuppressions",
    response_class=StreamingResponse,
    responses=responses(NotFound)
    | {
        200: {
            "content": {"text/csv": {"schema": {"type": "string"}}},
            "description": "kind, value, valueHash, reason, source, suppressedAt, scope, includeSubdomains.",
        }
    },
)
async def export_suppressions(member: MemberDep) -> StreamingResponse:
    """Export all suppressions that count in the workspace as a CSV file, also those with only a hash.

    The file can be imported again.
    """
    file = await service.write_export(member.session, member.workspace_id)
    headers = {"Content-Disposition": 'attachment; filename="suppressions.csv"'}
    return StreamingResponse(_chunks(file), media_type="text/csv; charset=utf-8", headers=headers)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@router.get("/{suppressionId}", operation_id="getSuppression", responses=responses(NotFound))
async def get_suppression(member: MemberDep, suppression_id: SuppressionId) -> SuppressionOut:
    """Get a suppression."""
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
    """Remove a suppression; the reason is recorded with the user.

    Only admins can remove what counts for the whole account, the reasons `unsubscribed` and `complaint`, and the
    suppression of an erased lead (`value` is null). A lead that has unsubscribed stays unsubscribed and is never
    mailed, even after the removal.
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
