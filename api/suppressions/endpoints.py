"""HTTP for suppressions."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response, status

from api.dependencies import MemberDep, PageDep
from api.errors import NotFound, Unauthorized, responses
from api.pagination import Page, to_page
from api.suppressions import service
from api.suppressions.schemas import WITHOUT_NUL, Sentence, SuppressionIn, SuppressionOut
from domain.suppression import SuppressionReason

router = APIRouter(prefix="/api/workspaces/{workspaceId}/suppressions", tags=["suppressions"])


@router.get("", operation_id="listSuppressions", responses=responses(Unauthorized, NotFound))
async def list_suppressions(
    member: MemberDep,
    page: PageDep,
    reason: SuppressionReason | None = None,
    value: Annotated[
        str | None, Query(max_length=254, pattern=WITHOUT_NUL, description="One address, or one `@domain`.")
    ] = None,
) -> Page[SuppressionOut]:
    """Who must not be mailed, newest first."""
    found = await service.list_suppressions(member.session, member.workspace_id, page, reason=reason, value=value)
    return to_page(SuppressionOut, found, page)


@router.post(
    "",
    operation_id="addSuppression",
    status_code=status.HTTP_201_CREATED,
    responses=responses(Unauthorized, NotFound)
    | {200: {"model": SuppressionOut, "description": "It was suppressed already; this is what stands."}},
)
async def add_suppression(member: MemberDep, body: SuppressionIn, response: Response) -> SuppressionOut:
    """Never mail an address, or anybody at a domain."""
    stands, is_new = await service.add(
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
    return SuppressionOut.model_validate(stands)


@router.delete(
    "/{suppression_id}",
    operation_id="removeSuppression",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(Unauthorized, NotFound),
)
async def remove_suppression(member: MemberDep, suppression_id: UUID, reason: Annotated[Sentence, Query()]) -> None:
    """Let it be mailed again, and say why; the reason is recorded."""
    await service.remove(
        member.session, member.workspace_id, suppression_id, reason=reason, actor=member.caller.user_id
    )
