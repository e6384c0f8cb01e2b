"""What the demo's people do: connect, import, write a sequence, enroll, and review drafts; all over HTTP."""

from dataclasses import dataclass
from typing import Any

from salesmatter.demo.business_time import ZONE
from salesmatter.demo.http_client import HttpClient
from salesmatter.demo.stage import Stage

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
    """What was set up: the workspace, its Everlytic user, the sequence, and how many leads go through it."""

    workspace: str
    username: str
    sequence: str
    leads: int


def connect(api: HttpClient, sandbox: HttpClient, stage: Stage) -> tuple[str, str]:
    """Make a workspace, connect it to the sandbox, and have replies forwarded; returns its id and Everlytic user."""
    workspace: str = api.post(
        "/api/workspaces",
        {
            "name": "Demo",
            "defaultFromName": "Thandi Nkosi",
            "defaultFromEmail": "thandi@demo.example.com",
            "postalAddress": "SalesMatter Demo, 1 Long Street, Cape Town, 8001",
            "timezone": ZONE.key,
            "windowStart": WINDOW[0],
            "windowEnd": WINDOW[1],
            # The demo takes as long on any date: it may start in a week with a holiday.
            "holidaysCountry": None,
        },
    )["id"]
    username = f"demo-{workspace}"
    connection = api.put(
        f"/api/workspaces/{workspace}/everlytic-connection",
        {
            "transactionalUrl": f"{stage.sandbox_url}/transactional/email/v1",
            "tenantUrl": f"{stage.sandbox_url}/api/2.0",
            "username": username,
            "apiKey": f"sandbox-key-{username}",
        },
    )
    sandbox.put(f"/__sandbox__/tenants/{username}/inbound", {"url": connection["inboundUrl"]})
    return workspace, username


def write_sequence(api: HttpClient, workspace: str) -> str:
    """Make a sequence of three steps and activate it; returns its id."""
    place = f"/api/workspaces/{workspace}/sequences"
    sequence: str = api.post(place, {"name": "Spring introduction"})["id"]
    for step in STEPS:
        api.post(f"{place}/{sequence}/steps", step)
    api.post(f"{place}/{sequence}/activate")
    return sequence
