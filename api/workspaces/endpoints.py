"""HTTP for the caller's account, its workspaces, and their connection to Everlytic."""

from fastapi import APIRouter, status

from api.dependencies import AdminDep, CallerDep, MemberDep, PageDep
from api.errors import AlreadyExists, Forbidden, NotFound, Unauthorized, responses
from api.pagination import Page, to_page
from api.workspaces import service
from api.workspaces.schemas import (
    AccountOut,
    ConnectionIn,
    ConnectionOut,
    Me,
    NewConnectionOut,
    UserOut,
    WorkspaceChange,
    WorkspaceIn,
    WorkspaceOut,
)

router = APIRouter(prefix="/api", tags=["workspaces"])

CONNECTION = "/workspaces/{workspaceId}/everlytic-connection"


@router.get("/me", operation_id="getMe", responses=responses(Unauthorized, NotFound))
async def get_me(caller: CallerDep) -> Me:
    """Who the API key stands for."""
    account, user = await service.me(caller.session, caller.account_id, caller.user_id)
    return Me(account=AccountOut.model_validate(account), user=UserOut.model_validate(user))


@router.get("/workspaces", operation_id="listWorkspaces", responses=responses(Unauthorized))
async def list_workspaces(caller: CallerDep, page: PageDep) -> Page[WorkspaceOut]:
    """The account's workspaces, newest first."""
    return to_page(WorkspaceOut, await service.list_workspaces(caller.session, page), page)


@router.post(
    "/workspaces",
    operation_id="createWorkspace",
    status_code=status.HTTP_201_CREATED,
    responses=responses(Unauthorized, Forbidden),
)
async def create_workspace(caller: AdminDep, body: WorkspaceIn) -> WorkspaceOut:
    """Make a workspace."""
    workspace = await service.create_workspace(caller.session, caller.account_id, body.model_dump())
    return WorkspaceOut.model_validate(workspace)


@router.get("/workspaces/{workspaceId}", operation_id="getWorkspace", responses=responses(Unauthorized, NotFound))
async def get_workspace(member: MemberDep) -> WorkspaceOut:
    """One workspace."""
    return WorkspaceOut.model_validate(member.workspace)


@router.patch("/workspaces/{workspaceId}", operation_id="changeWorkspace", responses=responses(Unauthorized, NotFound))
async def change_workspace(member: MemberDep, body: WorkspaceChange) -> WorkspaceOut:
    """Change a workspace's settings; what is left out stays."""
    changed = await service.change_workspace(member.session, member.workspace, body.model_dump(exclude_unset=True))
    return WorkspaceOut.model_validate(changed)


@router.get(CONNECTION, operation_id="getEverlyticConnection", responses=responses(Unauthorized, NotFound))
async def get_connection(member: MemberDep) -> ConnectionOut:
    """The workspace's connection to Everlytic."""
    return ConnectionOut.model_validate(await service.find_connection(member.session, member.workspace_id))


@router.put(
    CONNECTION,
    operation_id="putEverlyticConnection",
    responses=responses(Unauthorized, Forbidden, NotFound, AlreadyExists),
)
async def put_connection(member: MemberDep, admin: AdminDep, body: ConnectionIn) -> NewConnectionOut:
    """Connect the workspace to Everlytic, or change how; a job registers the webhook with Everlytic."""
    made = await service.connect_everlytic(
        member.session,
        member.workspace_id,
        admin.services.secrets,
        now=member.now,
        transactional_url=str(body.transactional_url).rstrip("/"),
        tenant_url=str(body.tenant_url).rstrip("/"),
        username=body.username,
        api_key=body.api_key.get_secret_value(),
    )
    public_url = admin.services.settings.public_url.rstrip("/")
    return NewConnectionOut(
        **ConnectionOut.model_validate(made.connection).model_dump(),
        webhook_url=f"{public_url}/api/webhooks/everlytic/{made.webhook_token}",
        inbound_url=f"{public_url}/api/webhooks/inbound/{made.webhook_token}",
    )


@router.delete(
    CONNECTION,
    operation_id="deleteEverlyticConnection",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(Unauthorized, Forbidden, NotFound),
)
async def delete_connection(member: MemberDep, admin: AdminDep) -> None:
    """Stop sending through and syncing from the connection; what it brought stays."""
    await service.disconnect_everlytic(member.session, member.workspace_id, f"disconnected by {admin.user_id}")
