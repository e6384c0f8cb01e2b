"""HTTP for imports."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import IO, Annotated

from fastapi import Form, UploadFile, status
from fastapi.responses import StreamingResponse

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import Conflict, NotFound, TooLarge, responses
from api.http.pagination import Page, to_page
from api.http.routing import ImportId, create_router
from api.imports import service
from api.imports.schemas import ImportOut, MappingIn
from api.people.lead_lists.schemas import ListName
from database.models import DuplicatePolicy

router = create_router("/api/workspaces/{workspaceId}/imports", "imports")

SENT_AT_ONCE = 256 * 1024
Sheet = Annotated[str | None, Form(max_length=100, description="Of a workbook; by default the first that holds rows.")]


@router.post(
    "",
    operation_id="uploadImport",
    status_code=status.HTTP_202_ACCEPTED,
    responses=responses(NotFound, TooLarge),
)
async def upload_import(
    member: MemberDep,
    file: UploadFile,
    list_name: Annotated[ListName | None, Form(alias="listName", description="By default the file's name.")] = None,
    duplicate_policy: Annotated[DuplicatePolicy, Form(alias="duplicatePolicy")] = DuplicatePolicy.FILL,
    sheet: Sheet = None,
) -> ImportOut:
    """Upload a table of people; its columns are mapped and its rows judged, and nothing is a lead yet.

    CSV or TSV of any encoding, delimiter and line end, with or without notes above the header, plain or gzipped; or
    one sheet of an Excel workbook. At most a million rows.
    """
    async with AsyncExitStack() as stack:
        async with member.caller.outside_transaction():
            reading = service.read_upload(
                member.services, member.workspace_id, file.file, sheet=sheet, actor=member.caller.user_id
            )
            read = await stack.enter_async_context(reading)
        received = await service.receive_upload(
            member.session,
            member.workspace,
            read,
            file_name=file.filename or "",
            list_name=list_name,
            policy=duplicate_policy,
            now=member.now,
        )
    return ImportOut.of(received)


@router.get("", operation_id="listImports", responses=responses(NotFound))
async def list_imports(member: MemberDep, page: PageDep) -> Page[ImportOut]:
    """The workspace's imports, newest first."""
    return to_page(ImportOut, await service.list_imports(member.session, member.workspace_id, page), page)


@router.get("/{importId}", operation_id="getImport", responses=responses(NotFound))
async def get_import(member: MemberDep, import_id: ImportId) -> ImportOut:
    """One import: its mapping, how far its commit or undo has come, and what came of its rows."""
    return ImportOut.of(await service.get_import(member.session, member.workspace_id, import_id))


@router.put("/{importId}/mapping", operation_id="putImportMapping", responses=responses(NotFound, Conflict))
async def put_mapping(member: MemberDep, import_id: ImportId, body: MappingIn) -> ImportOut:
    """Settle what the file's columns are; it is remembered for the next file with the same headers."""
    columns = [column.model_dump() for column in body.columns]
    changed = await service.change_mapping(
        member.session, member.workspace, import_id, columns, policy=body.duplicate_policy, now=member.now
    )
    return ImportOut.of(changed)


@router.get(
    "/{importId}/errors.csv",
    operation_id="getImportErrors",
    response_class=StreamingResponse,
    responses=responses(NotFound, Conflict)
    | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "Line, reason, cells."}},
)
async def get_errors(member: MemberDep, import_id: ImportId) -> StreamingResponse:
    """The rows that cannot be used, as they were, with line and reason."""
    file = await service.write_errors(member.session, member.workspace_id, import_id, member.now)
    headers = {"Content-Disposition": f'attachment; filename="import-{import_id}-errors.csv"'}
    return StreamingResponse(_pieces(file), media_type="text/csv; charset=utf-8", headers=headers)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(SENT_AT_ONCE):
            yield piece
