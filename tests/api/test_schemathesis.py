"""Every operation of the contract, tried with what the contract allows and what it forbids, on the real service."""

import uuid
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from pydantic import SecretStr
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy.engine import make_url

from ai.settings import AiSettings
from api.app import create_app
from api.settings import ApiSettings
from tests.api.serving import Service, serving
from tests.postgres import create_database, drop_database

EXAMPLES = 12
"""How many cases each operation is tried with beside those that cover each rule of its schema."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SETTINGS = ApiSettings(secret_key=SecretStr("a key of the tests"), rate_limit="off", pool_size=5)

schemathesis.serializer.alias("message/rfc822", "application/octet-stream")


def _contract() -> Any:
    """Return the contract, which is known without a database."""
    nowhere = make_url("postgresql+psycopg://owner@127.0.0.1:1/nowhere")
    project = ProjectConfig(generation=GenerationConfig(max_examples=EXAMPLES, deterministic=True, database="none"))
    config = SchemathesisConfig(projects=ProjectsConfig(default=project))
    return schemathesis.openapi.from_dict(create_app(SETTINGS, AiSettings(), nowhere).openapi(), config=config)


contract = _contract()


@pytest.fixture(scope="module")
def service(postgres_url: str, migrated_template: str) -> Iterator[Service]:
    """The service on real HTTP and a database of its own, for all operations."""
    name = f"test_{uuid.uuid4().hex}"
    url = create_database(postgres_url, name, template=migrated_template)
    try:
        with serving(SETTINGS, url) as served:
            yield served
    finally:
        drop_database(postgres_url, name)


@pytest.fixture(scope="module")
def ids_for(service: Service) -> Callable[[str], dict[str, str]]:
    """Return what makes one of each thing for an operation to work on, in a workspace of its own."""

    @cache
    def make(operation: str) -> dict[str, str]:
        with httpx.Client(base_url=service.url, headers=service.headers, timeout=30) as client:
            return _one_of_each(client, operation)

    return make


def _one_of_each(client: httpx.Client, operation: str) -> dict[str, str]:
    def add(path: str, **request: Any) -> dict[str, Any]:
        response = client.post(path, **request)
        assert response.is_success, response.text
        made: dict[str, Any] = response.json()
        return made

    sender = {"defaultFromName": "Ann", "defaultFromEmail": "ann@acme.example"}
    workspace = add("/api/workspaces", json={"name": operation, **sender})["id"]
    under = f"/api/workspaces/{workspace}"
    made_list = add(f"{under}/lead-lists", json={"name": "Fair"})["id"]
    lead = add(f"{under}/leads", json={"email": "a@lead.example", "listId": made_list})["id"]
    sequence = add(f"{under}/sequences", json={"name": "Spring"})["id"]
    step = add(f"{under}/sequences/{sequence}/steps", json={"subject": "Hello", "bodyTemplate": "Hello"})["id"]
    add(f"{under}/sequences/{sequence}/activate")
    add(f"{under}/enrollments", json={"sequenceId": sequence, "leadIds": [lead]})
    user = add("/api/users", json={"email": f"{uuid.uuid4().hex}@acme.example", "name": "Bob", "role": "member"})["id"]

    def first(path: str) -> str:
        found: str = client.get(f"{under}/{path}").json()["items"][0]["id"]
        return found

    return {
        "workspaceId": workspace,
        "listId": made_list,
        "leadId": lead,
        "sequenceId": sequence,
        "stepId": step,
        "enrollmentId": first("enrollments"),
        "draftId": first("drafts"),
        "jobId": first("jobs"),
        "importId": add(f"{under}/imports", files={"file": ("a.csv", b"Email\nb@lead.example\n")})["id"],
        "suppressionId": add(f"{under}/suppressions", json={"email": "no@lead.example"})["id"],
        "userId": user,
        "keyId": add("/api/api-keys", json={"name": "other", "userId": user})["id"],
    }


@contract.parametrize()  # type: ignore[untyped-decorator]
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_operation(case: Any, service: Service, ids_for: Callable[[str], dict[str, str]]) -> None:
    """No answer is a 5xx, none has a status, a media type or a shape that the contract does not tell."""
    real = ids_for(case.operation.label)
    for name, value in case.path_parameters.items():
        if name in real and _is_uuid(value):
            case.path_parameters[name] = real[name]
    case.call_and_validate(base_url=service.url, headers=service.headers, checks=CHECKS)


def _is_uuid(value: object) -> bool:
    try:
        uuid.UUID(str(value))
    except ValueError:
        return False
    return True
