"""Bulk emails (campaigns) of the tenant API and their reports; audience and figures are a function of time."""

from typing import Any

from fastapi import APIRouter, Request, Response

from everlytic.models import CampaignReport
from everlytic.sandbox.gate import TENANT, Refusal, enter, json_object, tenant_error, world_of
from everlytic.sandbox.paging import MAX_DIGITS, collection, item
from everlytic.sandbox.people import Reaction, reactions
from everlytic.sandbox.scenarios import READ
from everlytic.sandbox.state import Bulk, Tenant
from everlytic.sandbox.world import World

router = APIRouter(prefix="/api/2.0")

REPORTS = ("overview", "contacts", "links", "locations")
_LINK = "https://example.test/offer"

# The report's wire names are declared once, on the client's model.
_WIRE = {name: field.alias or name for name, field in CampaignReport.model_fields.items()}


def _status(world: World, tenant: Tenant, bulk: Bulk) -> str:
    if bulk.sent_at is None:
        return "composing"
    done = bulk.sent_at + 60.0 * tenant.behaviour.number("bulk_sending_minutes")
    return "sent" if world.clock.now() >= done else "sending"


def _shown(world: World, tenant: Tenant, bulk: Bulk) -> dict[str, Any]:
    return {
        **bulk.properties,
        "id": bulk.id,
        "status": _status(world, tenant, bulk),
        "date_create": int(bulk.created_at),
        "send_date": int(bulk.sent_at or 0),
    }


def _find(tenant: Tenant, email_id: str) -> Bulk:
    bulk = tenant.bulks.get(int(email_id)) if email_id.isdecimal() and len(email_id) <= MAX_DIGITS else None
    if bulk is None:
        raise Refusal(tenant_error(404, "There is no such email"))
    return bulk


@router.post("/emails")
async def create(request: Request) -> Response:
    """Create a bulk email in state composing."""
    tenant = await enter(request, TENANT, READ)
    properties = await json_object(request, TENANT)
    missing = [name for name in ("subject", "from_email") if not properties.get(name)]
    if missing:
        raise Refusal(tenant_error(400, f"{' and '.join(missing)} required"))
    bulk = Bulk(1000 + len(tenant.bulks), properties, world_of(request).clock.now())
    tenant.bulks[bulk.id] = bulk
    return item(request, "ListEmails", _shown(world_of(request), tenant, bulk), 201)


@router.get("/emails")
async def list_emails(request: Request) -> Response:
    """All bulk emails."""
    tenant, world = await enter(request, TENANT, READ), world_of(request)
    return collection(
        request, tenant, "ListEmails", list(tenant.bulks.values()), lambda one: _shown(world, tenant, one)
    )


@router.get("/emails/{email_id}")
async def get_email(request: Request, email_id: str) -> Response:
    """One bulk email."""
    tenant = await enter(request, TENANT, READ)
    return item(request, "ListEmails", _shown(world_of(request), tenant, _find(tenant, email_id)))


@router.put("/emails/{email_id}")
async def update(request: Request, email_id: str) -> Response:
    """Change a bulk email that is still composing."""
    tenant = await enter(request, TENANT, READ)
    bulk = _find(tenant, email_id)
    if bulk.sent_at is not None:
        raise Refusal(tenant_error(400, "The email is sent already"))
    bulk.properties.update(await json_object(request, TENANT))
    return item(request, "ListEmails", _shown(world_of(request), tenant, bulk))


@router.post("/email_actions/send/{email_id}")
async def send_email(request: Request, email_id: str) -> Response:
    """Send a bulk email to its (invented) audience."""
    tenant, world = await enter(request, TENANT, READ), world_of(request)
    bulk = _find(tenant, email_id)
    if bulk.sent_at is not None:
        raise Refusal(tenant_error(400, "The email is sent already"))
    bulk.sent_at = world.clock.now()
    return item(request, "ListEmails", _shown(world, tenant, bulk))


@router.get("/email_reports/{email_id}")
async def report(request: Request, email_id: str) -> Response:
    """A report: the figures as they stand at this virtual moment."""
    tenant, world = await enter(request, TENANT, READ), world_of(request)
    bulk, kind = _find(tenant, email_id), request.query_params.get("report", "overview")
    if not tenant.behaviour.on("bulk_reports"):
        raise Refusal(tenant_error(404, "Not Found"))
    if kind not in REPORTS:
        raise Refusal(tenant_error(400, f"report must be one of {', '.join(REPORTS)}"))
    past = _past(world, tenant, bulk)
    if kind == "overview":
        return item(request, "EmailReports", {"email_id": str(bulk.id), **_overview(past)})
    rows = _contacts(past) if kind == "contacts" else _links(past) if kind == "links" else []
    return collection(request, tenant, "EmailReports", rows, lambda row: row)


def _past(world: World, tenant: Tenant, bulk: Bulk) -> dict[str, list[Reaction]]:
    """Per address, what has happened by now."""
    if bulk.sent_at is None:
        return {}
    elapsed = world.clock.now() - bulk.sent_at
    people = [f"contact{n}@audience{n % 7}.example" for n in range(tenant.behaviour.number("bulk_audience"))]
    seed = world.behaviour.seed
    plans = {one: reactions(seed, one, bulk.id, links=[_LINK]) for one in people}
    return {one: [reaction for reaction in plan if reaction.delay <= elapsed] for one, plan in plans.items()}


def _overview(past: dict[str, list[Reaction]]) -> dict[str, int]:
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
    return {_WIRE[name]: value for name, value in figures.items()}


def _count(plan: list[Reaction], kind: str, data: dict[str, str]) -> int:
    return sum(one.kind == kind and data.items() <= one.data.items() for one in plan)


def _contacts(past: dict[str, list[Reaction]]) -> list[dict[str, Any]]:
    return [
        {"email": one, "message_reads": _count(plan, "open", {}), "message_link_clicks": _count(plan, "click", {})}
        for one, plan in past.items()
    ]


def _links(past: dict[str, list[Reaction]]) -> list[dict[str, Any]]:
    clicks = sum(_count(plan, "click", {}) for plan in past.values())
    return [{"url": _LINK, "message_link_clicks": clicks}] if clicks else []
