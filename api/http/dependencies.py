"""The caller of a request, their workspace, and the one transaction of the request."""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData, UploadFile

from api.http.authentication import service as authentication
from api.http.authentication.errors import InvalidCredential, KeysUnavailable
from api.http.authentication.service import KEY_PREFIX, Identity
from api.http.authentication.tokens import Claims
from api.http.errors import Forbidden, IssuerUnavailable, KeyReused, Malformed, NotFound, Unauthorized
from api.http.idempotency import service as idempotency
from api.http.idempotency.service import Answer
from api.http.pagination import PageRequest, page_request
from api.http.resources import Services
from api.http.routing import StoredAnswer
from database.models import UserRole, Workspace
from database.tenancy import open_unscoped_session

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
CHUNK_BYTES = 1024 * 1024


@dataclass(slots=True)
class Caller:
    """An authenticated user, and the transaction of the request in the scope of their account."""

    session: AsyncSession
    services: Services
    request: Request
    credential: str | Claims
    identity: Identity = field(init=False)
    _fingerprint: str | None = field(init=False, default=None)

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
        """The role of the caller."""
        return self.identity.role

    @property
    def now(self) -> datetime:
        """The business time."""
        return self.services.clock.now()

    async def authenticate(self) -> None:
        """Authenticate in a new transaction; raises Unauthorized, and StoredAnswer for a known Idempotency-Key."""
        workspace_id = _uuid_or_none(self.request.path_params.get("workspaceId"))
        with _unauthorized_answered():
            self.identity = await authentication.authenticate(self.session, self.credential, workspace_id)
        state = self.request.state
        state.account_id, state.user_id, state.role = self.account_id, self.user_id, self.role
        state.workspace_id = self.identity.workspace_id
        if self.request.method == "POST" and (keys := self.request.headers.getlist("Idempotency-Key")):
            await self._claim_key(keys)

    async def _claim_key(self, keys: Sequence[str]) -> None:
        key = keys[0]
        if len(keys) > 1 or not IDEMPOTENCY_KEY.fullmatch(key):
            message = "must be one header of 1 to 255 visible ASCII characters"
            problem = {"location": ["header", "Idempotency-Key"], "message": message}
            raise Malformed(f"The Idempotency-Key {message}.", errors=[problem])
        # Only once, because it rewinds an uploaded file that the endpoint may be reading.
        self._fingerprint = self._fingerprint or await _compute_fingerprint(self.request)
        claimed = await idempotency.claim_key(
            self.session,
            self.services.secrets,
            account_id=self.account_id,
            user_id=self.user_id,
            key=key,
            fingerprint=self._fingerprint,
        )
        if claimed is None:
            raise KeyReused("This Idempotency-Key was used for another request. Use a new key.")
        if isinstance(claimed, Answer):
            raise StoredAnswer(claimed)
        self.request.state.idempotency = claimed

    @asynccontextmanager
    async def outside_transaction(self) -> AsyncIterator[None]:
        """Roll back the transaction while something slow runs, and begin a new one.

        The caller is authenticated again: a key that was revoked in the meantime is refused.
        """
        self.session.expunge_all()  # loaded objects stay readable
        await self.session.rollback()
        yield
        await self.authenticate()


@dataclass(frozen=True, slots=True)
class Member:
    """A caller in one of their workspaces; the transaction sees only the rows of this workspace."""

    session: AsyncSession
    workspace_id: UUID
    identity: Identity
    caller: Caller

    @property
    def workspace(self) -> Workspace:
        """The workspace, as it was at the start of the request."""
        return self.identity.workspace

    @property
    def now(self) -> datetime:
        """The business time."""
        return self.caller.now

    @property
    def services(self) -> Services:
        """The resources of the process."""
        return self.caller.services


async def get_services(request: Request) -> Services:
    """Return the resources of the process."""
    services: Services = request.app.state.services
    return services


_bearer = HTTPBearer(auto_error=False, description="An API key, or a token of the OpenID Connect issuer.")


async def get_caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> AsyncIterator[Caller]:
    """Authenticate the request and open its one transaction, committed before the response leaves."""
    if credentials is None:
        raise Unauthorized("Send `Authorization: Bearer <api key>`.")
    if (authenticated := getattr(request.state, "caller", None)) is not None:
        # One of several queries in one transaction, whose caller is already authenticated.
        yield authenticated
        return
    services = await get_services(request)
    credential = await _credential(credentials.credentials, services)
    async with open_unscoped_session(services.pool) as session:
        caller = Caller(session, services, request, credential)
        await caller.authenticate()
        yield caller


async def _credential(token: str, services: Services) -> str | Claims:
    """Return an API key unchanged, or the claims of a verified token."""
    if token.startswith(KEY_PREFIX):
        return token
    if services.tokens is None:
        raise Unauthorized("Invalid API key.")
    with _unauthorized_answered():
        return await services.tokens.verify(token)


@contextmanager
def _unauthorized_answered() -> Iterator[None]:
    """Answer a credential that is not accepted with 401, and unknown keys of the issuer with 503."""
    try:
        yield
    except InvalidCredential as error:
        raise Unauthorized(str(error)) from error
    except KeysUnavailable as error:
        raise IssuerUnavailable(str(error)) from error


CallerDep = Annotated[Caller, Depends(get_caller, scope="function")]


async def get_member(caller: CallerDep, workspace_id: Annotated[UUID, Path(alias="workspaceId")]) -> Member:
    """Return the caller in the workspace of the path; raises NotFound for the workspace of another tenant."""
    if caller.identity.workspace_id != workspace_id:
        raise NotFound("There is no such workspace.")
    return Member(caller.session, workspace_id, caller.identity, caller)


MemberDep = Annotated[Member, Depends(get_member, scope="function")]


async def get_snapshot(
    request: Request,
    workspace_id: Annotated[UUID, Path(alias="workspaceId")],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> AsyncIterator[Member]:
    """Return the caller in the workspace of the path, in a transaction that reads one snapshot."""
    if credentials is None:
        raise Unauthorized("Send `Authorization: Bearer <api key>`.")
    services = await get_services(request)
    credential = await _credential(credentials.credentials, services)
    # Authentication may write when the key was last used. In the snapshot, a concurrent write of that would fail.
    async with open_unscoped_session(services.pool) as session:
        await Caller(session, services, request, credential).authenticate()
    async with open_unscoped_session(services.pool, isolation_level="REPEATABLE READ") as session:
        caller = Caller(session, services, request, credential)
        await caller.authenticate()
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


async def _compute_fingerprint(request: Request) -> str:
    """Return the digest of method, URL and body, which is the same when a client writes the same request anew.

    Of JSON the values count, without white space and the order of keys; of a form its parts by name, without boundary.
    """
    url = request.url
    parts = [request.method.encode(), url.path.encode(), url.query.encode()]
    if request.headers.get("Content-Type", "").startswith("multipart/"):
        parts += await _form_parts(await request.form())
    else:
        body = await request.body()
        with suppress(Malformed):
            body = json.dumps(await request.json(), sort_keys=True).encode() if body else b""
        parts.append(body)
    return idempotency.compute_fingerprint(parts)


async def _form_parts(form: FormData) -> list[bytes]:
    parts = []
    for name, value in sorted(form.multi_items(), key=itemgetter(0)):
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
