"""Who is calling, in which workspace, and the one transaction of the request."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from api.errors import Forbidden, Unauthorized
from api.pagination import PageRequest, page_request
from api.resources import Services
from api.workspaces import service
from api.workspaces.service import KEY_PREFIX
from database.models import UserRole, Workspace
from database.secrets import credential_hash
from database.tenancy import Scope, transaction


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user and the request's transaction, in the scope of the user's account."""

    session: AsyncSession
    account_id: UUID
    user_id: UUID
    role: UserRole
    services: Services

    @property
    def now(self) -> datetime:
        """The business time."""
        return self.services.clock.now()


@dataclass(frozen=True, slots=True)
class Member:
    """A caller in one workspace of theirs; the transaction sees this workspace's rows only."""

    session: AsyncSession
    workspace: Workspace
    caller: Caller

    @property
    def workspace_id(self) -> UUID:
        """The workspace's id."""
        return self.workspace.id

    @property
    def now(self) -> datetime:
        """The business time."""
        return self.caller.now

    @property
    def services(self) -> Services:
        """What the process was started with."""
        return self.caller.services


def get_services(request: Request) -> Services:
    """Return what the app was started with."""
    services: Services = request.app.state.services
    return services


_bearer = HTTPBearer(auto_error=False, description="An API key.")


async def get_caller(
    request: Request,
    services: Annotated[Services, Depends(get_services)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> AsyncIterator[Caller]:
    """Authenticate the request and open its one transaction, committed before the response leaves."""
    if credentials is None or not credentials.credentials.startswith(KEY_PREFIX):
        raise Unauthorized("Send `Authorization: Bearer <api key>`.")
    secret_hash = credential_hash(credentials.credentials)
    async with transaction(services.pool, Scope(credential_hash=secret_hash)) as session:
        identity = await service.authenticate(session, secret_hash)
        request.state.account_id = identity.account_id
        yield Caller(session, identity.account_id, identity.user_id, identity.role, services)


CallerDep = Annotated[Caller, Depends(get_caller, scope="function")]


async def get_member(caller: CallerDep, workspace_id: Annotated[UUID, Path(alias="workspaceId")]) -> Member:
    """Return the caller in the path's workspace; another tenant's workspace does not exist."""
    workspace = await service.enter_workspace(caller.session, caller.account_id, workspace_id)
    return Member(caller.session, workspace, caller)


MemberDep = Annotated[Member, Depends(get_member, scope="function")]
ServicesDep = Annotated[Services, Depends(get_services)]
PageDep = Annotated[PageRequest, Depends(page_request)]


def require_admin(caller: CallerDep) -> Caller:
    """Return the caller if they are an admin; raises Forbidden."""
    if caller.role is not UserRole.ADMIN:
        raise Forbidden("Only an admin of the account may do this.")
    return caller


AdminDep = Annotated[Caller, Depends(require_admin, scope="function")]
