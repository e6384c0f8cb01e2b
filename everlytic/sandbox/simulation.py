"""Simulates what happens to accepted mails: tenants, planned recipient reactions, events and deliveries."""

import asyncio
import contextlib
import math
import secrets
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from everlytic.sandbox.clock import Clock
from everlytic.sandbox.dispatcher import Dispatcher
from everlytic.sandbox.mailbox import extract_links, find_one_click_url
from everlytic.sandbox.notifier import Notifier
from everlytic.sandbox.recipients import Reaction, plan_reactions
from everlytic.sandbox.scenarios import Behaviour
from everlytic.sandbox.scheduler import Scheduler
from everlytic.sandbox.state import CapturedMail, Event, Tenant


@dataclass(slots=True)
class Submission:
    """A valid send from either API; ``to`` has (address, name) pairs."""

    to: list[tuple[str, str]]
    sender: str
    subject: str
    method: str
    reply_to: str = ""
    message_id: str = ""
    html: str = ""
    text: str = ""
    group: str = ""
    custom_headers: dict[str, list[str]] = field(default_factory=dict)
    track_opens: bool = True
    track_links: bool = True


class Simulation:
    """The state of the sandbox: all tenants, the scheduler and the dispatcher. The caller starts the dispatcher."""

    def __init__(self, clock: Clock, behaviour: Behaviour, inbound_url: str | None = None) -> None:
        self.clock, self.behaviour = clock, behaviour
        self.scheduler = Scheduler(clock)
        self.dispatcher = Dispatcher(clock, self.scheduler)
        self.notifier = Notifier(clock, self.scheduler, self.dispatcher, behaviour.seed)
        self.credentials: dict[str, str | None] = {}
        self.tenants: dict[str, Tenant] = {}
        self.requests: Counter[str] = Counter()
        self.closing = asyncio.Event()
        self._inbound_url = inbound_url

    async def pause(self, seconds: float) -> None:
        """Wait real seconds, or until the process shuts down."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), seconds)

    # -- tenants ------------------------------------------------------------------------------------------------------

    def tenant(self, username: str) -> Tenant:
        """Return the tenant of a username, created on first use."""
        tenant = self.tenants.get(username)
        if tenant is None:
            tenant = Tenant(username, Behaviour(self.behaviour.seed, parent=self.behaviour))
            if self._inbound_url:
                tenant.inbound = {"url": self._inbound_url.replace("{username}", username), "headers": {}}
            self.tenants[username] = tenant
        return tenant

    def is_key_valid(self, username: str, api_key: str) -> bool:
        """Return whether the key is the registered one, or ``sandbox-key-<username>`` if none was ever registered."""
        valid_key = self.credentials.get(username, f"sandbox-key-{username}")
        return valid_key is not None and bool(username) and secrets.compare_digest(valid_key.encode(), api_key.encode())

    def reset(self, username: str | None = None) -> None:
        """Delete the data of one username, or of all; credentials and default switches stay."""
        self.dispatcher.discard(username)
        for name in [username] if username is not None else list(self.tenants):
            if name in self.tenants:
                self.tenants.pop(name).is_reset = True
            self.notifier.discard_batches(name)
        if username is None:
            self.scheduler.clear()
            self.requests.clear()
            self.dispatcher.counts.clear()

    # -- accepting ----------------------------------------------------------------------------------------------------

    def accept_submission(
        self, tenant: Tenant, submission: Submission, *, suppress_events: bool = False
    ) -> list[CapturedMail]:
        """Capture one mail per recipient, and plan the reactions to it unless ``suppress_events``."""
        mails = []
        for address, name in submission.to:
            mail = self._capture(tenant, submission, address, name)
            tenant.add_mail(mail)
            mails.append(mail)
            if not suppress_events:
                self._schedule_reactions(tenant, mail)
        return mails

    def _capture(self, tenant: Tenant, submission: Submission, address: str, name: str) -> CapturedMail:
        now, behaviour = self.clock.now(), tenant.behaviour
        group = submission.group or _format_month(now)
        transaction_id = str(uuid.uuid4()) if submission.method == "rest" else secrets.token_hex(12)
        is_same_id = submission.method != "rest" or behaviour.get("legacy_trans_id") == "same"
        message_id = submission.message_id or str(uuid.uuid4())
        local_id = message_id if behaviour.get("rfc_message_id") == "caller" else secrets.token_hex(12)
        key = address.lower()
        tenant.mail_counts[key] += 1
        return CapturedMail(
            number=tenant.mail_counts[key],
            transaction_id=transaction_id,
            legacy_id=transaction_id if is_same_id else secrets.token_hex(12),
            method=submission.method,
            message_id=message_id,
            rfc_message_id=f"<{local_id}>" if "@" in local_id else f"<{local_id}@sandbox.everlytic>",
            group=group,
            group_id=tenant.get_group_id(group),
            sender=submission.sender,
            recipient=address,
            recipient_name=name,
            reply_to=submission.reply_to or submission.sender,
            subject=submission.subject,
            html=submission.html,
            text=submission.text,
            custom_headers=submission.custom_headers,
            accepted_at=now,
            track_opens=submission.track_opens,
            track_links=submission.track_links,
        )

    def _schedule_reactions(self, tenant: Tenant, mail: CapturedMail) -> None:
        if mail.recipient.lower() in tenant.opted_out:
            reactions = [Reaction(1.0, "failed", {"reason": "recipient opted out"})]
        else:
            reactions = plan_reactions(
                self.behaviour.seed,
                mail.recipient,
                mail.number,
                opens=mail.track_opens and bool(mail.html),
                links=extract_links(mail.html) if mail.track_links else (),
                one_click=find_one_click_url(mail) is not None,
                complaints=tenant.behaviour.is_on("complaints"),
            )
        tenant.pending_reactions += len(reactions)
        for reaction in reactions:
            # Whole seconds, because webhooks and lists have no fractions.
            moment = float(math.ceil(mail.accepted_at + reaction.delay))
            self.scheduler.schedule(moment, self._react, tenant, mail, reaction, moment)

    def _react(self, tenant: Tenant, mail: CapturedMail, reaction: Reaction, moment: float) -> None:
        tenant.pending_reactions -= 1
        if not tenant.is_reset and not (reaction.kind == "sent" and any(event.type == "sent" for event in mail.events)):
            self.record_event(tenant, Event(reaction.kind, moment, mail, dict(reaction.data)))

    # -- events -------------------------------------------------------------------------------------------------------

    def record_event(self, tenant: Tenant, event: Event) -> None:
        """Record an event, update the mail and the opt-outs, and create the deliveries."""
        tenant.add_event(event)
        mail, address = event.mail, event.mail.recipient.lower()
        if event.type in {"sent", "failed"}:
            mail.status = event.type
        elif event.type == "bounce":
            mail.status, mail.bounce = "bounced", event.data
        elif event.type == "open":
            mail.opens += 1
        elif event.type == "click":
            mail.clicks += 1
        elif event.type in {"unsubscribe", "complaint"}:
            tenant.opted_out.add(address)
        elif event.type == "resubscribe":
            tenant.opted_out.discard(address)
        self.notifier.notify(tenant, event)


def _format_month(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%B %Y")
