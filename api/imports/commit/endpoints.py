"""HTTP for commits."""

from fastapi import status

from api.http.dependencies import MemberDep
from api.http.errors import Conflict, NotFound, responses
from api.http.routing import ImportId, create_router
from api.imports.commit import service
from api.imports.schemas import ImportOut

router = create_router("/api/workspaces/{workspaceId}/imports", "imports")


@router.post(
    "/{importId}/commit",
    operation_id="commitImport",
    status_code=status.HTTP_202_ACCEPTED,
    responses=responses(NotFound, Conflict),
)
async def commit_import(member: MemberDep, import_id: ImportId) -> ImportOut:
    """Have the file's rows written to leads, or go on where that failed; the import shows how far it has come."""
    return ImportOut.of(await service.start_commit(member.session, member.workspace, import_id, member.now))
