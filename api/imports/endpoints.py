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
from api.imports import commit, preview, service, undo
from api.imports.repository import uploads
from api.imports.schemas import (
    ImportOut,
    KeptLead,
    MappingIn,
    OptOutCounts,
    Preview,
    PreviewRow,
    PreviewSamples,
    SampleValues,
    differences,
)
from api.people.lead_lists.schemas import ListName
from database.models import DuplicatePolicy

router = create_router("/api/workspaces/{workspaceId}/imports", "imports")

CHUNK_BYTES = 256 * 1024
Sheet = Annotated[
    str | None, Form(max_length=100, description="A sheet of a workbook; by default the first visible one with rows.")
]
EncodingName = Annotated[
    str | None,
    Form(
        max_length=40,
        description="The encoding of a text file, such as `windows-1250`, `shift_jis`, `macintosh` or `ibm850`; by "
        "default it is guessed, and the response shows the guess with samples.",
    ),
]


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
    encoding: EncodingName = None,
) -> ImportOut:
    """Upload a table of people; its columns are mapped and its rows checked, and no lead is created yet.

    CSV or TSV in any encoding, with any delimiter and line ending, with or without notes above the header, plain or
    gzipped; or one sheet of an Excel workbook. At most a million rows.
    """
    async with AsyncExitStack() as stack:
        async with member.caller.outside_transaction():
            reading = service.read_upload(
                member.services,
                member.workspace_id,
                file.file,
                sheet=sheet,
                encoding=encoding,
                actor=member.caller.user_id,
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
    """List the imports of the workspace, newest first."""
    return to_page(ImportOut, await uploads.list_imports(member.session, member.workspace_id, page), page)


@router.get("/{importId}", operation_id="getImport", responses=responses(NotFound))
async def get_import(member: MemberDep, import_id: ImportId) -> ImportOut:
    """Get an import: its mapping, the progress of its commit or undo, and the outcomes of its rows."""
    return ImportOut.of(await service.get_import(member.session, member.workspace_id, import_id))


@router.put("/{importId}/mapping", operation_id="putImportMapping", responses=responses(NotFound, Conflict))
async def put_mapping(member: MemberDep, import_id: ImportId, body: MappingIn) -> ImportOut:
    """Change the mapping of the file's columns; it is remembered for the next file with the same headers."""
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
    """Get the rows that cannot be used, and those with an unclear time zone: line, reason and the original cells."""
    file = await service.write_errors(member.session, member.workspace_id, import_id, member.now)
    headers = {"Content-Disposition": f'attachment; filename="import-{import_id}-errors.csv"'}
    return StreamingResponse(_chunks(file), media_type="text/csv; charset=utf-8", headers=headers)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@router.get("/{importId}/preview", operation_id="previewImport", responses=responses(NotFound, Conflict))
async def preview_import(member: MemberDep, import_id: ImportId) -> Preview:
    """Get what a commit would do now, with sample rows; nothing is written."""
    result = await preview.preview_import(member.session, member.workspace, import_id, member.now)
    samples = {outcome.value: [_row(sample) for sample in rows] for outcome, rows in result.samples.items()}
    return Preview(
        row_count=result.row_count,
        **{outcome.value: count for outcome, count in result.counts.items()},
        opted_out=OptOutCounts(**{reason.value: count for reason, count in result.opt_outs.items()}),
        unknown_timezone=result.unknown_timezones,
        samples=PreviewSamples(**{outcome.value: samples.get(outcome.value, []) for outcome in result.counts}),
    )


def _row(sample: preview.Sample) -> PreviewRow:
    return PreviewRow(
        line_number=sample.line_number,
        cells=sample.cells,
        email=sample.email,
        reason=sample.problem,
        first_line=sample.first_line,
        opt_out=sample.opt_out,
        unknown_timezone=sample.has_unknown_timezone,
        lead_id=sample.lead_id,
        values=SampleValues(**sample.values) if sample.values is not None else None,
        differences=differences(sample.before, sample.after),
    )


@router.post(
    "/{importId}/commit",
    operation_id="commitImport",
    status_code=status.HTTP_202_ACCEPTED,
    responses=responses(NotFound, Conflict),
)
async def commit_import(member: MemberDep, import_id: ImportId) -> ImportOut:
    """Write the rows of the file to leads, or continue where that failed; the import shows the progress."""
    return ImportOut.of(await commit.start_commit(member.session, member.workspace, import_id, member.now))


@router.post(
    "/{importId}/undo",
    operation_id="undoImport",
    status_code=status.HTTP_202_ACCEPTED,
    responses=responses(NotFound, Conflict),
)
async def undo_import(member: MemberDep, import_id: ImportId) -> ImportOut:
    """Undo the commit: new leads are removed, updated leads are restored; possible for 30 days.

    Leads that were changed or mailed since the commit stay unchanged and are listed. Afterwards the mapping can be
    changed and the file committed again.
    """
    return ImportOut.of(await undo.start_undo(member.session, member.workspace_id, import_id, member.now))


@router.get("/{importId}/kept-leads", operation_id="listKeptLeads", responses=responses(NotFound))
async def list_kept_leads(member: MemberDep, import_id: ImportId, page: PageDep) -> Page[KeptLead]:
    """List the leads that an undo kept because they were changed or mailed since the commit, newest first."""
    leads = await undo.list_kept_leads(member.session, member.workspace_id, import_id, page)
    return to_page(KeptLead, leads, page)
