"""Who is told what, and how: webhooks with their faults and batches, replies as mail, one-click unsubscribes."""

from collections.abc import Callable

from everlytic.requests import basic_authorization
from everlytic.sandbox.agenda import Agenda
from everlytic.sandbox.clock import Clock
from everlytic.sandbox.delivery import Parcel, Postman, Rendered
from everlytic.sandbox.mailbox import one_click_url, reply
from everlytic.sandbox.payloads import render
from everlytic.sandbox.scenarios import DELIVERY, chance
from everlytic.sandbox.state import Event, Hook, Tenant

_TOLD = frozenset({"sent", "delivered", "failed", "open", "click", "bounce", "unsubscribe", "resubscribe", "complaint"})


class Announcer:
    """Turns events into parcels for the postman."""

    def __init__(self, clock: Clock, agenda: Agenda, postman: Postman, seed: int) -> None:
        self._clock, self._agenda, self._postman, self._seed = clock, agenda, postman, seed
        self._batches: dict[tuple[str, str, str], list[Event]] = {}

    def announce(self, tenant: Tenant, event: Event) -> None:
        """Plan whatever has to be posted because of ``event``."""
        if event.type == "reply":
            self._post_reply(tenant, event)
        elif event.type == "one_click":
            self._post_one_click(tenant, event)
        elif event.type in _TOLD:
            self._tell(tenant, event)

    def pending(self, tenant: Tenant) -> int:
        """What is still to be posted: queued, waiting for a retry, held back, or in an unfilled batch."""
        queued = sum(parcel.username == tenant.username for parcel in self._postman.pending.values())
        batched = sum(len(batch) for key, batch in self._batches.items() if key[0] == tenant.username)
        return queued + batched + tenant.held_back

    def forget(self, username: str) -> None:
        """Drop the unfilled batches of a username."""
        self._batches = {key: batch for key, batch in self._batches.items() if key[0] != username}

    def _tell(self, tenant: Tenant, event: Event) -> None:
        if event.mail.method != "rest" and not tenant.behaviour.on("legacy_webhooks"):
            return
        behaviour = tenant.behaviour
        for hook in tenant.hooks.values():
            if event.type not in hook.registration["event_types"] and event.type != "complaint":
                continue
            key = self._fault_key(event)
            if behaviour.draws("lost_webhooks", key):
                tenant.faults["lost_webhooks"] += 1
                continue
            if behaviour.draws("out_of_order_webhooks", key):
                tenant.faults["out_of_order_webhooks"] += 1
                late = self._clock.now() + chance(self._seed, "late", key) * 1800.0
                self._later(tenant, late, self._batch, tenant, hook, event)
            else:
                self._batch(tenant, hook, event)
            if behaviour.draws("duplicate_webhooks", key):
                tenant.faults["duplicate_webhooks"] += 1
                self._later(tenant, self._clock.now() + 5.0, self._push, tenant, hook, [event])
            if behaviour.draws("unknown_event_type", key):
                tenant.faults["unknown_event_type"] += 1
                self._push(tenant, hook, [event], "amp_interaction")

    def _later(self, tenant: Tenant, moment: float, action: Callable[..., None], *arguments: object) -> None:
        def run() -> None:
            tenant.held_back -= 1
            action(*arguments)

        tenant.held_back += 1
        self._agenda.at(moment, run)

    @staticmethod
    def _fault_key(event: Event) -> str:
        return f"{DELIVERY}:{event.mail.recipient.lower()}:{event.mail.number}:{event.type}"

    def _batch(self, tenant: Tenant, hook: Hook, event: Event) -> None:
        size = tenant.behaviour.number("records_per_delivery")
        if size <= 1:
            self._push(tenant, hook, [event])
            return
        key = (tenant.username, hook.id, event.type)
        batch = self._batches.setdefault(key, [])
        batch.append(event)
        if len(batch) >= size:
            self._flush(tenant, hook, key, batch)
        elif len(batch) == 1:
            wait = tenant.behaviour.number("records_wait_seconds")
            self._agenda.at(self._clock.now() + wait, self._flush, tenant, hook, key, batch)

    def _flush(self, tenant: Tenant, hook: Hook, key: tuple[str, str, str], batch: list[Event]) -> None:
        if self._batches.get(key) is batch:
            del self._batches[key]
            self._push(tenant, hook, batch)

    def _push(self, tenant: Tenant, hook: Hook, events: list[Event], type_: str | None = None) -> None:
        if not tenant.gone:
            self._postman.post(self.webhook_parcel(tenant, hook, events, type_))

    def webhook_parcel(self, tenant: Tenant, hook: Hook, events: list[Event], type_: str | None = None) -> Parcel:
        """The delivery of ``events`` to ``hook``, as it is registered at the time of each try."""

        def rendered() -> Rendered | None:
            if tenant.hooks.get(hook.id) is not hook:
                return None
            content_type, body = render(events, hook.registration, tenant.behaviour, type_)
            headers = {"Content-Type": content_type, "User-Agent": "Everlytic-Sandbox/1"}
            details = hook.registration.get("auth_details")
            if details:
                headers["Authorization"] = basic_authorization(details["username"], details["password"])
            return hook.registration["verb"], hook.registration["url"], headers, body

        def delivered(now: float) -> None:
            for event in events:
                event.delivered_at = event.delivered_at or now

        return Parcel(tenant.username, rendered, delivered, float(tenant.behaviour.number("webhook_timeout")))

    # -- the mailbox provider -----------------------------------------------------------------------------------------

    def _post_reply(self, tenant: Tenant, event: Event) -> None:
        kind = str(event.data.get("reply_kind", "question"))
        body = reply(event.mail, kind, event.occurred_at, reply_id=event.id, text=event.data.get("text"))

        def rendered() -> Rendered | None:
            # Without an address the mail waits in the mailbox, as undelivered mail does.
            if tenant.inbound is None:
                raise ConnectionError("no inbound address is set")
            headers = {"Content-Type": "message/rfc822", **tenant.inbound.get("headers", {})}
            return "POST", tenant.inbound["url"], headers, body

        self._postman.post(Parcel(tenant.username, rendered, _mark(event), 10.0))

    def _post_one_click(self, tenant: Tenant, event: Event) -> None:
        url = one_click_url(event.mail)
        if url is None:
            return
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request: Rendered = ("POST", url, headers, b"List-Unsubscribe=One-Click")
        self._postman.post(Parcel(tenant.username, lambda: request, _mark(event), 10.0))


def _mark(event: Event) -> Callable[[float], None]:
    def delivered(now: float) -> None:
        event.delivered_at = event.delivered_at or now

    return delivered
