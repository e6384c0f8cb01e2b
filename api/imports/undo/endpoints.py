"""HTTP for undos."""

from fastapi import status

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import Conflict, NotFound, responses
from api.http.pagination import Page, to_page
from api.http.routing import ImportId, create_router
from api.imports.schemas import ImportOut
from api.imports.undo import service
from api.imports.undo.schemas import KeptLead

router = create_router("/api/workspaces/{workspaceId}/imports", "imports")


@router.post(
    "/{importId}/undo",
    operation_id="undoImport",
    status_code=status.HTTP_202_ACCEPTED,
    responses=responses(NotFound, Conflict),
)
async def undo_import(member: MemberDep, import_id: ImportId) -> ImportOut:
    """Take back what the commit did: new leads go, updated ones are as they were; possible for 30 days.

    Leads that were changed or mailed since stay as they are and are listed. Afterwards the mapping may be changed and
    the file committed again.
    """
    return ImportOut.of(await service.start_undo(member.session, member.workspace_id, import_id, member.now))


@router.get("/{importId}/kept-leads", operation_id="listKeptLeads", responses=responses(NotFound))
async def list_kept_leads(member: MemberDep, import_id: ImportId, page: PageDep) -> Page[KeptLead]:
    """The leads that an undo left, changed or mailed since the commit, newest first."""
    found = await service.list_kept_leads(member.session, member.workspace_id, import_id, page)
    return to_page(KeptLead, found, page)
