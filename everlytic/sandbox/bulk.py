"""Bulk emails (campaigns) of the tenant API and their reports; the figures are computed from the virtual time."""

from typing import Any

from fastapi import APIRouter, Request, Response

from everlytic.models import CampaignReport
from everlytic.sandbox.access import (
    TENANT,
    RequestRejected,
    get_simulation,
    parse_json_object,
    receive_request,
    tenant_error_response,
)
from everlytic.sandbox.paging import MAX_DIGITS, build_collection, build_item
from everlytic.sandbox.recipients import Reaction, plan_reactions
from everlytic.sandbox.scenarios import READ
from everlytic.sandbox.simulation import Simulation
from everlytic.sandbox.state import BulkEmail, Tenant

router = APIRouter(prefix="/api/2.0")

REPORTS = ("overview", "contacts", "links", "locations")
_LINK = "https://example.test/offer"

# The field names of the report are declared once, as aliases of the client's model.
_FIELD_NAMES = {name: field.alias or name for name, field in CampaignReport.model_fields.items()}


def _get_status(simulation: Simulation, tenant: Tenant, bulk: BulkEmail) -> str:
    if bulk.sent_at is None:
        return "composing"
    done = bulk.sent_at + 60.0 * tenant.behaviour.get_int("bulk_sending_minutes")
    return "sent" if simulation.clock.now() >= done else "sending"


def _to_json(simulation: Simulation, tenant: Tenant, bulk: BulkEmail) -> dict[str, Any]:
    return {
        **bulk.properties,
        "id": bulk.id,
        "status": _get_status(simulation, tenant, bulk),
        "date_create": int(bulk.created_at),
        "send_date": int(bulk.sent_at or 0),
    }


def _find_email(tenant: Tenant, email_id: str) -> BulkEmail:
    bulk = tenant.bulk_emails.get(int(email_id)) if email_id.isdecimal() and len(email_id) <= MAX_DIGITS else None
    if bulk is None:
        raise RequestRejected(tenant_error_response(404, "This email does not exist"))
    return bulk


@router.post("/emails")
async def create_email(request: Request) -> Response:
    """Create a bulk email in state composing."""
    tenant = await receive_request(request, TENANT, READ)
    properties = await parse_json_object(request, TENANT)
    missing = [name for name in ("subject", "from_email") if not properties.get(name)]
    if missing:
        raise RequestRejected(tenant_error_response(400, f"{' and '.join(missing)} required"))
    bulk = BulkEmail(1000 + len(tenant.bulk_emails), properties, get_simulation(request).clock.now())
    tenant.bulk_emails[bulk.id] = bulk
    return build_item(request, "ListEmails", _to_json(get_simulation(request), tenant, bulk), 201)


@router.get("/emails")
async def list_emails(request: Request) -> Response:
    """List all bulk emails."""
    tenant, simulation = await receive_request(request, TENANT, READ), get_simulation(request)
    return build_collection(
        request,
        tenant,
        "ListEmails",
        list(tenant.bulk_emails.values()),
        lambda bulk: _to_json(simulation, tenant, bulk),
    )


@router.get("/emails/{email_id}")
async def get_email(request: Request, email_id: str) -> Response:
    """Return one bulk email."""
    tenant = await receive_request(request, TENANT, READ)
    return build_item(request, "ListEmails", _to_json(get_simulation(request), tenant, _find_email(tenant, email_id)))


@router.put("/emails/{email_id}")
async def update_email(request: Request, email_id: str) -> Response:
    """Update a bulk email that is still composing."""
    tenant = await receive_request(request, TENANT, READ)
    bulk = _find_email(tenant, email_id)
    if bulk.sent_at is not None:
        raise RequestRejected(tenant_error_response(400, "The email was already sent"))
    bulk.properties.update(await parse_json_object(request, TENANT))
    return build_item(request, "ListEmails", _to_json(get_simulation(request), tenant, bulk))


@router.post("/email_actions/send/{email_id}")
async def send_email(request: Request, email_id: str) -> Response:
    """Send a bulk email to its generated audience."""
    tenant, simulation = await receive_request(request, TENANT, READ), get_simulation(request)
    bulk = _find_email(tenant, email_id)
    if bulk.sent_at is not None:
        raise RequestRejected(tenant_error_response(400, "The email was already sent"))
    bulk.sent_at = simulation.clock.now()
    return build_item(request, "ListEmails", _to_json(simulation, tenant, bulk))


@router.get("/email_reports/{email_id}")
async def get_report(request: Request, email_id: str) -> Response:
    """Return a report with the figures at the current virtual time."""
    tenant, simulation = await receive_request(request, TENANT, READ), get_simulation(request)
    bulk, kind = _find_email(tenant, email_id), request.query_params.get("report", "overview")
    if not tenant.behaviour.is_on("bulk_reports"):
        raise RequestRejected(tenant_error_response(404, "Not Found"))
    if kind not in REPORTS:
        raise RequestRejected(tenant_error_response(400, f"report must be one of {', '.join(REPORTS)}"))
    past = _find_past_reactions(simulation, tenant, bulk)
    if kind == "overview":
        return build_item(request, "EmailReports", {"email_id": str(bulk.id), **_build_overview(past)})
    rows = _build_contacts(past) if kind == "contacts" else _build_links(past) if kind == "links" else []
    return build_collection(request, tenant, "EmailReports", rows, lambda row: row)


def _find_past_reactions(simulation: Simulation, tenant: Tenant, bulk: BulkEmail) -> dict[str, list[Reaction]]:
    """Return the reactions so far by address."""
    if bulk.sent_at is None:
        return {}
    elapsed = simulation.clock.now() - bulk.sent_at
    addresses = [f"contact{n}@audience{n % 7}.example" for n in range(tenant.behaviour.get_int("bulk_audience"))]
    seed = simulation.behaviour.seed
    plans = {address: plan_reactions(seed, address, bulk.id, links=[_LINK]) for address in addresses}
    return {address: [reaction for reaction in plan if reaction.delay <= elapsed] for address, plan in plans.items()}


def _build_overview(past: dict[str, list[Reaction]]) -> dict[str, int]:
    def total(kind: str, **data: str) -> int:
        return sum(_count(plan, kind, data) for plan in past.values())

    def unique(kind: str) -> int:
        return sum(_count(plan, kind, {}) > 0 for plan in past.values())

    figures = {
        "sent": unique("sent"),
        "delivered": unique("delivered"),
        "opens": total("open"),
        "unique_opens": unique("open"),
        "clicks": total("click"),
        "unique_clicks": unique("click"),
        "hard_bounces": total("bounce", bounce_type="hard"),
        "soft_bounces": total("bounce", bounce_type="soft"),
        "unsubscribes": unique("unsubscribe"),
    }
    return {_FIELD_NAMES[name]: value for name, value in figures.items()}


def _count(plan: list[Reaction], kind: str, data: dict[str, str]) -> int:
    return sum(reaction.kind == kind and data.items() <= reaction.data.items() for reaction in plan)


def _build_contacts(past: dict[str, list[Reaction]]) -> list[dict[str, Any]]:
    return [
        {"email": address, "message_reads": _count(plan, "open", {}), "message_link_clicks": _count(plan, "click", {})}
        for address, plan in past.items()
    ]


def _build_links(past: dict[str, list[Reaction]]) -> list[dict[str, Any]]:
    clicks = sum(_count(plan, "click", {}) for plan in past.values())
    return [{"url": _LINK, "message_link_clicks": clicks}] if clicks else []
