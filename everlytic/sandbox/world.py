"""What happens between a mail's acceptance and the last thing anybody does with it."""

import asyncio
import contextlib
import math
import secrets
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from everlytic.sandbox.agenda import Agenda
from everlytic.sandbox.announcer import Announcer
from everlytic.sandbox.clock import Clock
from everlytic.sandbox.delivery import Postman
from everlytic.sandbox.mailbox import links_in, one_click_url
from everlytic.sandbox.people import Reaction, reactions
from everlytic.sandbox.scenarios import Behaviour
from everlytic.sandbox.state import CapturedMail, Event, Tenant


@dataclass(slots=True)
class Submission:
    """A send that passed validation, whichever route it came by. ``to`` holds (address, name) pairs."""

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


class World:
    """All tenants, one agenda, one postman. Construct inside the event loop's process; ``postman`` needs starting."""

    def __init__(self, clock: Clock, behaviour: Behaviour, inbound_url: str | None = None) -> None:
        self.clock, self.behaviour = clock, behaviour
        self.agenda = Agenda(clock)
        self.postman = Postman(clock, self.agenda)
        self.announcer = Announcer(clock, self.agenda, self.postman, behaviour.seed)
        self.credentials: dict[str, str | None] = {}
        self.tenants: dict[str, Tenant] = {}
        self.requests: Counter[str] = Counter()
        self.closing = asyncio.Event()
        self._inbound_url = inbound_url

    async def pause(self, seconds: float) -> None:
        """Wait real seconds, or until the process is told to end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), seconds)

    # -- tenants ------------------------------------------------------------------------------------------------------

    def tenant(self, username: str) -> Tenant:
        """The tenant of a username, made on first use."""
        found = self.tenants.get(username)
        if found is None:
            found = Tenant(username, Behaviour(self.behaviour.seed, parent=self.behaviour))
            if self._inbound_url:
                found.inbound = {"url": self._inbound_url.replace("{username}", username), "headers": {}}
            self.tenants[username] = found
        return found

    def knows(self, username: str, api_key: str) -> bool:
        """Whether these credentials are good: registered ones (none once revoked), else ``sandbox-key-<username>``."""
        wanted = self.credentials.get(username, f"sandbox-key-{username}")
        return wanted is not None and bool(username) and secrets.compare_digest(wanted.encode(), api_key.encode())

    def reset(self, username: str | None = None) -> None:
        """Forget one username's data, or everything (credentials and default switches stay)."""
        self.postman.forget(username)
        for name in [username] if username is not None else list(self.tenants):
            if name in self.tenants:
                self.tenants.pop(name).gone = True
            self.announcer.forget(name)
        if username is None:
            self.agenda.clear()
            self.requests.clear()
            self.postman.counts.clear()

    # -- accepting ----------------------------------------------------------------------------------------------------

    def accept(self, tenant: Tenant, submission: Submission, *, silent: bool = False) -> list[CapturedMail]:
        """Take a mail: one captured mail per recipient, whose future is planned unless ``silent``."""
        mails = []
        for address, name in submission.to:
            mail = self._capture(tenant, submission, address, name)
            tenant.keep(mail)
            mails.append(mail)
            if not silent:
                self._plan(tenant, mail)
        return mails

    def _capture(self, tenant: Tenant, submission: Submission, address: str, name: str) -> CapturedMail:
        now, behaviour = self.clock.now(), tenant.behaviour
        group = submission.group or _month(now)
        transaction_id = str(uuid.uuid4()) if submission.method == "rest" else secrets.token_hex(12)
        same = submission.method != "rest" or behaviour.value("legacy_trans_id") == "same"
        message_id = submission.message_id or str(uuid.uuid4())
        named = message_id if behaviour.value("rfc_message_id") == "caller" else secrets.token_hex(12)
        key = address.lower()
        tenant.numbers[key] += 1
        return CapturedMail(
            number=tenant.numbers[key],
            transaction_id=transaction_id,
            legacy_id=transaction_id if same else secrets.token_hex(12),
            method=submission.method,
            message_id=message_id,
            rfc_message_id=f"<{named}>" if "@" in named else f"<{named}@sandbox.everlytic>",
            group=group,
            group_id=tenant.group_id(group),
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

    def _plan(self, tenant: Tenant, mail: CapturedMail) -> None:
        if mail.recipient.lower() in tenant.opted_out:
            plan = [Reaction(1.0, "failed", {"reason": "recipient opted out"})]
        else:
            plan = reactions(
                self.behaviour.seed,
                mail.recipient,
                mail.number,
                opens=mail.track_opens and bool(mail.html),
                links=links_in(mail.html) if mail.track_links else (),
                one_click=one_click_url(mail) is not None,
                complaints=tenant.behaviour.on("complaints"),
            )
        tenant.pending_people += len(plan)
        for reaction in plan:
            # Whole seconds, because that is all the feeds can say.
            moment = float(math.ceil(mail.accepted_at + reaction.delay))
            self.agenda.at(moment, self._react, tenant, mail, reaction, moment)

    def _react(self, tenant: Tenant, mail: CapturedMail, reaction: Reaction, moment: float) -> None:
        tenant.pending_people -= 1
        if not tenant.gone and not (reaction.kind == "sent" and any(one.type == "sent" for one in mail.events)):
            self.happen(tenant, Event(reaction.kind, moment, mail, dict(reaction.data)))

    # -- happening ----------------------------------------------------------------------------------------------------

    def happen(self, tenant: Tenant, event: Event) -> None:
        """Record an event, change what it changes, and tell whoever is to be told."""
        tenant.record(event)
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
        self.announcer.announce(tenant, event)


def _month(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%B %Y")
