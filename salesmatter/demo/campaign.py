"""Sets up the demo's workspace, Everlytic connection and sequence over HTTP."""

from dataclasses import dataclass
from typing import Any

from salesmatter.demo.business_time import ZONE
from salesmatter.demo.http_client import HttpClient
from salesmatter.demo.services import Services

WINDOW = ("06:00", "20:00")

STEPS: tuple[dict[str, Any], ...] = (
    {
        "subject": "{{ first_name }}, a question about {{ company }}",
        "bodyTemplate": (
            "<p>Hi {{ first_name }},</p>"
            "<p>Sales teams like the one at {{ company }} lose about a day a week to writing the same email. "
            'We give that day back: <a href="https://www.example.com/how-it-works">here is how it works</a>.</p>'
            "<p>Would a short call this week suit you?</p><p>{{ sender.name }}</p>"
        ),
    },
    {
        "subject": "Re: a question about {{ company }}",
        "bodyTemplate": (
            "<p>Hi {{ first_name }},</p>"
            "<p>I know weeks fill up quickly. "
            '<a href="https://www.example.com/two-minutes">This takes two minutes to read</a> '
            "and says what changed for a team of the size of {{ company }}.</p><p>{{ sender.name }}</p>"
        ),
        "delayDays": 2,
    },
    {
        "subject": "Shall I close the file, {{ first_name }}?",
        "bodyTemplate": (
            "<p>Hi {{ first_name }},</p>"
            "<p>I have not heard from you, so I take it that now is not the time for {{ company }}. "
            'If I am wrong, <a href="https://www.example.com/calendar">pick any time that suits you</a>; '
            "if not, this is my last note.</p><p>{{ sender.name }}</p>"
        ),
        "delayDays": 2,
    },
)


@dataclass(frozen=True, slots=True)
class Campaign:
    """The demo's workspace, Everlytic user and sequence, and the number of enrolled leads."""

    workspace_id: str
    username: str
    sequence_id: str
    lead_count: int


def connect_workspace(api: HttpClient, sandbox: HttpClient, services: Services) -> tuple[str, str]:
    """Create a workspace, connect it to the sandbox and forward replies; returns its id and Everlytic user."""
    workspace_id: str = api.post(
        "/api/workspaces",
        {
            "name": "Demo",
            "defaultFromName": "Thandi Nkosi",
            "defaultFromEmail": "thandi@demo.example.com",
            "postalAddress": "SalesMatter Demo, 1 Long Street, Cape Town, 8001",
            "timezone": ZONE.key,
            "windowStart": WINDOW[0],
            "windowEnd": WINDOW[1],
            # Ignore holidays, so that the demo takes the same time in every week.
            "holidaysCountry": None,
            # Of the sandbox's recipients 3 % bounce hard and more bounce softly.
            "maxBounceRate": 0.08,
        },
    )["id"]
    username = f"demo-{workspace_id}"
    connection = api.put(
        f"/api/workspaces/{workspace_id}/everlytic-connection",
        {
            "transactionalUrl": f"{services.sandbox_url}/transactional/email/v1",
            "tenantUrl": f"{services.sandbox_url}/api/2.0",
            "username": username,
            "apiKey": f"sandbox-key-{username}",
        },
    )
    sandbox.put(f"/__sandbox__/tenants/{username}/inbound", {"url": connection["inboundUrl"]})
    return workspace_id, username


def create_sequence(api: HttpClient, workspace_id: str) -> str:
    """Create a sequence of three steps and activate it; returns its id."""
    path = f"/api/workspaces/{workspace_id}/sequences"
    sequence_id: str = api.post(path, {"name": "Spring introduction"})["id"]
    for step in STEPS:
        api.post(f"{path}/{sequence_id}/steps", step)
    api.post(f"{path}/{sequence_id}/activate")
    return sequence_id
