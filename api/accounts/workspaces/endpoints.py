"""HTTP for workspaces and their connections to Everlytic."""

from fastapi import status

from api.accounts.workspaces import repository, service
from api.accounts.workspaces.schemas import (
    ConnectionIn,
    ConnectionOut,
    ConnectionState,
    NewConnectionOut,
    WorkspaceChange,
    WorkspaceIn,
    WorkspaceOut,
)
from api.http.dependencies import AdminDep, CallerDep, MemberDep, PageDep
from api.http.errors import Forbidden, HostRefused, NotFound, PreconditionFailed, responses
from api.http.hosts import require_permitted_hosts
from api.http.pagination import Page, to_page
from api.http.preconditions import IfMatch
from api.http.routing import create_router
from database.models import EverlyticConnection

router = create_router("/api", "workspaces")

CONNECTION = "/workspaces/{workspaceId}/everlytic-connection"


@router.get("/workspaces", operation_id="listWorkspaces")
async def list_workspaces(caller: CallerDep, page: PageDep) -> Page[WorkspaceOut]:
    """List the workspaces of the account, newest first."""
    return to_page(WorkspaceOut, await repository.list_workspaces(caller.session, page), page)


@router.post(
    "/workspaces",
    operation_id="createWorkspace",
    status_code=status.HTTP_201_CREATED,
    responses=responses(Forbidden),
)
async def create_workspace(caller: AdminDep, body: WorkspaceIn) -> WorkspaceOut:
    """Create a workspace."""
    workspace = await repository.add_workspace(caller.session, caller.account_id, **body.model_dump())
    return WorkspaceOut.of(workspace)


@router.get("/workspaces/{workspaceId}", operation_id="getWorkspace", responses=responses(NotFound))
async def get_workspace(member: MemberDep) -> WorkspaceOut:
    """Get a workspace."""
    return WorkspaceOut.of(member.workspace)


@router.patch(
    "/workspaces/{workspaceId}",
    operation_id="changeWorkspace",
    responses=responses(NotFound, PreconditionFailed),
)
async def change_workspace(member: MemberDep, body: WorkspaceChange, if_match: IfMatch) -> WorkspaceOut:
    """Change the settings of a workspace; fields that are left out stay unchanged."""
    locked = await service.lock_workspace(member.session, member.workspace_id)
    if_match.require(WorkspaceOut.of(locked))
    changed = await service.change_workspace(member.session, locked, body.model_dump(exclude_unset=True), member.now)
    return WorkspaceOut.of(changed)


@router.delete(
    "/workspaces/{workspaceId}",
    operation_id="deleteWorkspace",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(Forbidden, NotFound, PreconditionFailed),
)
async def delete_workspace(member: MemberDep, admin: AdminDep, if_match: IfMatch) -> None:
    """Delete a workspace and its contents; scheduled mails are cancelled."""
    locked = await service.lock_workspace(member.session, member.workspace_id)
    if_match.require(WorkspaceOut.of(locked))
    await service.delete_workspace(member.session, locked, by=admin.user_id, now=member.now)


@router.get(CONNECTION, operation_id="getEverlyticConnection", responses=responses(NotFound))
async def get_connection(member: MemberDep) -> ConnectionOut:
    """Get the connection of the workspace to Everlytic."""
    return _show(member, await service.find_connection(member.session, member.workspace_id))


def _show(member: MemberDep, connection: EverlyticConnection) -> ConnectionOut:
    public_url = member.services.settings.public_url
    holds = service.list_identity_problems(member.workspace, connection, public_url)
    return ConnectionOut(**ConnectionState.of(connection).model_dump(), holds=list(holds))


@router.put(
    CONNECTION,
    operation_id="putEverlyticConnection",
    responses=responses(Forbidden, HostRefused, NotFound, PreconditionFailed),
)
async def put_connection(member: MemberDep, admin: AdminDep, body: ConnectionIn, if_match: IfMatch) -> NewConnectionOut:
    """Connect the workspace to Everlytic, or replace the connection; a job registers the webhook at Everlytic."""
    hosts = {"transactionalUrl": body.transactional_url.host or "", "tenantUrl": body.tenant_url.host or ""}
    await require_permitted_hosts(admin.services.egress, hosts)
    locked = await service.lock_connection(member.session, member.workspace_id)
    if locked is not None:
        if_match.require(_show(member, locked))
    created = await service.connect_everlytic(
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
        **_show(member, created.connection).model_dump(),
        webhook_url=f"{public_url}/api/webhooks/everlytic/{created.webhook_token}",
        inbound_url=f"{public_url}/api/webhooks/inbound/{created.webhook_token}",
    )


@router.delete(
    CONNECTION,
    operation_id="deleteEverlyticConnection",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(Forbidden, NotFound, PreconditionFailed),
)
async def delete_connection(member: MemberDep, admin: AdminDep, if_match: IfMatch) -> None:
    """Stop sending and syncing through the connection; its events stay."""
    locked = await service.lock_connection(member.session, member.workspace_id)
    if locked is not None:
        if_match.require(_show(member, locked))
    await service.disconnect_everlytic(member.session, member.workspace_id, f"disconnected by {admin.user_id}")
