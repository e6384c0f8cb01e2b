"""Creates the deliveries of an event: webhooks with faults and batches, replies as mail, one-click unsubscribes."""

from collections.abc import Callable

from everlytic.requests import encode_basic_auth
from everlytic.sandbox.clock import Clock
from everlytic.sandbox.dispatcher import Delivery, Dispatcher, OutgoingRequest
from everlytic.sandbox.mailbox import build_reply, find_one_click_url
from everlytic.sandbox.payloads import render_delivery
from everlytic.sandbox.scenarios import DELIVERY, seeded_random
from everlytic.sandbox.scheduler import Scheduler
from everlytic.sandbox.state import Event, RegisteredWebhook, Tenant

_WEBHOOK_EVENTS = frozenset(
    {"sent", "delivered", "failed", "open", "click", "bounce", "unsubscribe", "resubscribe", "complaint"}
)


class Notifier:
    """Converts events into deliveries for the dispatcher."""

    def __init__(self, clock: Clock, scheduler: Scheduler, dispatcher: Dispatcher, seed: int) -> None:
        self._clock, self._scheduler, self._dispatcher, self._seed = clock, scheduler, dispatcher, seed
        self._batches: dict[tuple[str, str, str], list[Event]] = {}

    def notify(self, tenant: Tenant, event: Event) -> None:
        """Create the deliveries of an event."""
        if event.type == "reply":
            self._send_reply(tenant, event)
        elif event.type == "one_click":
            self._send_one_click(tenant, event)
        elif event.type in _WEBHOOK_EVENTS:
            self._notify_webhooks(tenant, event)

    def count_pending(self, tenant: Tenant) -> int:
        """Return the number of deliveries that are queued, waiting for a retry, delayed, or in an incomplete batch."""
        queued = sum(delivery.username == tenant.username for delivery in self._dispatcher.pending.values())
        batched = sum(len(batch) for key, batch in self._batches.items() if key[0] == tenant.username)
        return queued + batched + tenant.delayed_count

    def discard_batches(self, username: str) -> None:
        """Discard the incomplete batches of a username."""
        self._batches = {key: batch for key, batch in self._batches.items() if key[0] != username}

    def _notify_webhooks(self, tenant: Tenant, event: Event) -> None:
        if event.mail.method != "rest" and not tenant.behaviour.is_on("legacy_webhooks"):
            return
        behaviour = tenant.behaviour
        for webhook in tenant.webhooks.values():
            if event.type not in webhook.registration["event_types"] and event.type != "complaint":
                continue
            key = self._build_fault_key(event)
            if behaviour.has_fault("lost_webhooks", key):
                tenant.faults["lost_webhooks"] += 1
                continue
            if behaviour.has_fault("out_of_order_webhooks", key):
                tenant.faults["out_of_order_webhooks"] += 1
                late = self._clock.now() + seeded_random(self._seed, "late", key) * 1800.0
                self._delay(tenant, late, self._add_to_batch, tenant, webhook, event)
            else:
                self._add_to_batch(tenant, webhook, event)
            if behaviour.has_fault("duplicate_webhooks", key):
                tenant.faults["duplicate_webhooks"] += 1
                self._delay(tenant, self._clock.now() + 5.0, self._enqueue, tenant, webhook, [event])
            if behaviour.has_fault("unknown_event_type", key):
                tenant.faults["unknown_event_type"] += 1
                self._enqueue(tenant, webhook, [event], "amp_interaction")

    def _delay(self, tenant: Tenant, moment: float, action: Callable[..., None], *arguments: object) -> None:
        def run() -> None:
            tenant.delayed_count -= 1
            action(*arguments)

        tenant.delayed_count += 1
        self._scheduler.schedule(moment, run)

    @staticmethod
    def _build_fault_key(event: Event) -> str:
        return f"{DELIVERY}:{event.mail.recipient.lower()}:{event.mail.number}:{event.type}"

    def _add_to_batch(self, tenant: Tenant, webhook: RegisteredWebhook, event: Event) -> None:
        size = tenant.behaviour.get_int("records_per_delivery")
        if size <= 1:
            self._enqueue(tenant, webhook, [event])
            return
        key = (tenant.username, webhook.id, event.type)
        batch = self._batches.setdefault(key, [])
        batch.append(event)
        if len(batch) >= size:
            self._flush(tenant, webhook, key, batch)
        elif len(batch) == 1:
            wait = tenant.behaviour.get_int("records_wait_seconds")
            self._scheduler.schedule(self._clock.now() + wait, self._flush, tenant, webhook, key, batch)

    def _flush(self, tenant: Tenant, webhook: RegisteredWebhook, key: tuple[str, str, str], batch: list[Event]) -> None:
        if self._batches.get(key) is batch:
            del self._batches[key]
            self._enqueue(tenant, webhook, batch)

    def _enqueue(
        self, tenant: Tenant, webhook: RegisteredWebhook, events: list[Event], type_: str | None = None
    ) -> None:
        if not tenant.is_reset:
            self._dispatcher.enqueue(self.build_webhook_delivery(tenant, webhook, events, type_))

    def build_webhook_delivery(
        self, tenant: Tenant, webhook: RegisteredWebhook, events: list[Event], type_: str | None = None
    ) -> Delivery:
        """Return the delivery of ``events``; each attempt uses the webhook's registration at that time."""

        def build_request() -> OutgoingRequest | None:
            if tenant.webhooks.get(webhook.id) is not webhook:
                return None
            content_type, body = render_delivery(events, webhook.registration, tenant.behaviour, type_)
            headers = {"Content-Type": content_type, "User-Agent": "Everlytic-Sandbox/1"}
            details = webhook.registration.get("auth_details")
            if details:
                headers["Authorization"] = encode_basic_auth(details["username"], details["password"])
            return webhook.registration["verb"], webhook.registration["url"], headers, body

        def on_delivered(now: float) -> None:
            for event in events:
                event.delivered_at = event.delivered_at or now

        timeout = float(tenant.behaviour.get_int("webhook_timeout"))
        return Delivery(tenant.username, build_request, on_delivered, timeout)

    # -- the mailbox provider -----------------------------------------------------------------------------------------

    def _send_reply(self, tenant: Tenant, event: Event) -> None:
        kind = str(event.data.get("reply_kind", "question"))
        body = build_reply(event.mail, kind, event.occurred_at, reply_id=event.id, text=event.data.get("text"))

        def build_request() -> OutgoingRequest | None:
            # Without an inbound address the reply is retried later, like an undelivered mail.
            if tenant.inbound is None:
                raise ConnectionError("no inbound address is set")
            headers = {"Content-Type": "message/rfc822", **tenant.inbound.get("headers", {})}
            return "POST", tenant.inbound["url"], headers, body

        self._dispatcher.enqueue(Delivery(tenant.username, build_request, _set_delivered_at(event), 10.0))

    def _send_one_click(self, tenant: Tenant, event: Event) -> None:
        url = find_one_click_url(event.mail)
        if url is None:
            return
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request: OutgoingRequest = ("POST", url, headers, b"List-Unsubscribe=One-Click")
        self._dispatcher.enqueue(Delivery(tenant.username, lambda: request, _set_delivered_at(event), 10.0))


def _set_delivered_at(event: Event) -> Callable[[float], None]:
    def on_delivered(now: float) -> None:
        event.delivered_at = event.delivered_at or now

    return on_delivered
