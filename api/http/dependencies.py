"""Who is calling, in which workspace, and the one transaction of the request."""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData, UploadFile

from api.accounts import service as accounts
from api.accounts.service import KEY_PREFIX, Identity
from api.http.errors import Forbidden, Malformed, NotFound, Unauthorized
from api.http.idempotency import service as idempotency
from api.http.idempotency.service import Answer
from api.http.pagination import PageRequest, page_request
from api.http.resources import Services
from api.http.routing import StoredAnswer
from api.http.tokens import Claims
from database.models import UserRole, Workspace
from database.tenancy import open_unscoped_session

KEY = re.compile(r"[\x21-\x7e]{1,255}")
CHUNK_BYTES = 1024 * 1024


@dataclass(slots=True)
class Caller:
    """An authenticated user and the request's transaction, in the scope of the user's account."""

    session: AsyncSession
    services: Services
    request: Request
    credential: str | Claims
    identity: Identity = field(init=False)
    _asked: str | None = field(init=False, default=None)

    @property
    def account_id(self) -> UUID:
        """The caller's account."""
        return self.identity.account_id

    @property
    def user_id(self) -> UUID:
        """The caller."""
        return self.identity.user_id

    @property
    def role(self) -> UserRole:
        """What the caller may do."""
        return self.identity.role

    @property
    def now(self) -> datetime:
        """The business time."""
        return self.services.clock.now()

    async def enter(self) -> None:
        """Enter the caller's scope in the transaction that begins; raises Unauthorized, and Replayed on a known key."""
        workspace_id = _uuid_or_none(self.request.path_params.get("workspaceId"))
        self.identity = await accounts.authenticate(self.session, self.credential, workspace_id)
        state = self.request.state
        state.account_id, state.user_id, state.role = self.account_id, self.user_id, self.role
        state.workspace_id = self.identity.workspace_id
        if self.request.method == "POST" and (key := self.request.headers.get("Idempotency-Key")) is not None:
            await self._take(key)

    async def _take(self, key: str) -> None:
        if not KEY.fullmatch(key):
            message = "must be 1 to 255 visible ASCII characters"
            problem = {"location": ["header", "Idempotency-Key"], "message": message}
            raise Malformed(f"The Idempotency-Key {message}.", errors=[problem])
        # Once: whoever has begun to read an uploaded file must find it where they left it.
        self._asked = self._asked or await _fingerprint(self.request)
        taken = await idempotency.claim_key(
            self.session,
            self.services.secrets,
            account_id=self.account_id,
            user_id=self.user_id,
            key=key,
            fingerprint=self._asked,
        )
        if isinstance(taken, Answer):
            raise StoredAnswer(taken)
        self.request.state.idempotency = taken

    @asynccontextmanager
    async def outside_transaction(self) -> AsyncIterator[None]:
        """Let the transaction go while something slow happens, and begin anew; what was written before it is undone.

        The caller comes in anew too: who has lost their key meanwhile is refused.
        """
        self.session.expunge_all()  # what was read stays readable
        await self.session.rollback()
        yield
        await self.enter()


@dataclass(frozen=True, slots=True)
class Member:
    """A caller in one workspace of theirs; the transaction sees this workspace's rows only."""

    session: AsyncSession
    workspace_id: UUID
    identity: Identity
    caller: Caller

    @property
    def workspace(self) -> Workspace:
        """The workspace, as it was when the request came in."""
        return self.identity.workspace

    @property
    def now(self) -> datetime:
        """The business time."""
        return self.caller.now

    @property
    def services(self) -> Services:
        """What the process was started with."""
        return self.caller.services


async def get_services(request: Request) -> Services:
    """Return what the app was started with."""
    services: Services = request.app.state.services
    return services


_bearer = HTTPBearer(auto_error=False, description="An API key, or a token of the OpenID Connect issuer.")


async def get_caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> AsyncIterator[Caller]:
    """Authenticate the request and open its one transaction, committed before the response leaves."""
    if credentials is None:
        raise Unauthorized("Send `Authorization: Bearer <api key>`.")
    if (entered := getattr(request.state, "caller", None)) is not None:
        # One of many queries that are asked in one transaction, by who has come in already.
        yield entered
        return
    services = await get_services(request)
    credential = await _credential(credentials.credentials, services)
    async with open_unscoped_session(services.pool) as session:
        caller = Caller(session, services, request, credential)
        await caller.enter()
        yield caller


async def _credential(token: str, services: Services) -> str | Claims:
    """Return an API key as it is, and what a token says once it is verified."""
    if token.startswith(KEY_PREFIX):
        return token
    if services.tokens is None:
        raise Unauthorized("Invalid API key.")
    return await services.tokens.verify(token)


CallerDep = Annotated[Caller, Depends(get_caller, scope="function")]


async def get_member(caller: CallerDep, workspace_id: Annotated[UUID, Path(alias="workspaceId")]) -> Member:
    """Return the caller in the path's workspace; another tenant's workspace does not exist."""
    if caller.identity.workspace_id != workspace_id:
        raise NotFound("There is no such workspace.")
    return Member(caller.session, workspace_id, caller.identity, caller)


MemberDep = Annotated[Member, Depends(get_member, scope="function")]


async def get_snapshot(
    request: Request,
    workspace_id: Annotated[UUID, Path(alias="workspaceId")],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> AsyncIterator[Member]:
    """Return the caller in the path's workspace, in a transaction that sees one moment throughout."""
    if credentials is None:
        raise Unauthorized("Send `Authorization: Bearer <api key>`.")
    services = await get_services(request)
    credential = await _credential(credentials.credentials, services)
    # Whoever comes in may have it noted; a moment that is held must find that done, or it breaks when others do it too.
    async with open_unscoped_session(services.pool) as session:
        await Caller(session, services, request, credential).enter()
    async with open_unscoped_session(services.pool, isolation_level="REPEATABLE READ") as session:
        caller = Caller(session, services, request, credential)
        await caller.enter()
        yield await get_member(caller, workspace_id)


SnapshotDep = Annotated[Member, Depends(get_snapshot, scope="function")]
ServicesDep = Annotated[Services, Depends(get_services)]
PageDep = Annotated[PageRequest, Depends(page_request)]


async def require_admin(caller: CallerDep) -> Caller:
    """Return the caller if they are an admin; raises Forbidden."""
    if caller.role is not UserRole.ADMIN:
        raise Forbidden("Only an admin of the account can do this.")
    return caller


AdminDep = Annotated[Caller, Depends(require_admin, scope="function")]


def _uuid_or_none(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


async def _fingerprint(request: Request) -> str:
    """Return the digest of method, address and body; of a form, of its parts, whose boundary is new at each try."""
    url = request.url
    parts = [request.method.encode(), url.path.encode(), url.query.encode()]
    if request.headers.get("Content-Type", "").startswith("multipart/"):
        parts += await _form_parts(await request.form())
    else:
        parts.append(await request.body())
    return idempotency.fingerprint_of(parts)


async def _form_parts(form: FormData) -> list[bytes]:
    parts = []
    for name, value in form.multi_items():
        parts.append(name.encode())
        if isinstance(value, UploadFile):
            digest = hashlib.sha256()
            while block := await value.read(CHUNK_BYTES):
                digest.update(block)
            await value.seek(0)
            parts += [(value.filename or "").encode(errors="surrogatepass"), digest.digest()]
        else:
            parts.append(value.encode(errors="surrogatepass"))
    return parts
