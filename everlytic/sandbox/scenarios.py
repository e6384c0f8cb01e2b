"""The sandbox's switches (one per unproven assumption about Everlytic) and its faults, as data.

Each switch and fault applies to all usernames or to one, and is set on the command line or through the control plane.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

SwitchValue = str | int | bool


@dataclass(frozen=True, slots=True)
class Switch:
    """One assumption: its default and its allowed values (empty: any value of the default's type)."""

    name: str
    default: SwitchValue
    description: str
    choices: tuple[SwitchValue, ...] = ()

    def parse(self, text: object) -> SwitchValue:
        """Return a value from the command line or JSON; raises ValueError with a sentence."""
        value: object = text
        if isinstance(self.default, bool) and isinstance(text, str):
            value = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}.get(text.lower())
        elif isinstance(self.default, int) and isinstance(text, str) and text.lstrip("-").isdigit():
            value = int(text)
        is_allowed = type(value) is type(self.default) and (not self.choices or value in self.choices)
        if isinstance(value, SwitchValue) and is_allowed:
            return value
        allowed = ", ".join(map(str, self.choices)) or type(self.default).__name__
        message = f"The switch {self.name} cannot be {text!r}; use {allowed}."
        raise ValueError(message)


SWITCHES: Mapping[str, Switch] = {
    switch.name: switch
    for switch in (
        # the v1 send
        Switch(
            "transactions_per",
            "recipient",
            "a send returns one id per `to` address, or one per request",
            ("recipient", "request"),
        ),
        Switch("copies_make_transactions", False, "cc and bcc addresses get their own transactions"),
        Switch("invalid_status", 400, "status of an invalid v1 body", (400, 422)),
        Switch("unknown_template_status", 404, "status for a template id that is not a UUID", (400, 404)),
        Switch("tracking_default", True, "opens and links are tracked unless the request says otherwise"),
        Switch("duplicate_message_id", "accept", "a send with a message_id that was used before", ("accept", "reject")),
        Switch(
            "opted_out",
            "accept_then_failed",
            "a send to a recipient who opted out",
            ("accept_then_failed", "reject_400"),
        ),
        Switch("quota", 0, "accepted mails per username until the quota is used up; 0 means no quota"),
        Switch("quota_status", 402, "status once the quota is used up", (402, 403, 429)),
        # ids
        Switch("message_id_echoed", True, "webhooks contain the caller's message_id, or else the server's"),
        Switch(
            "rfc_message_id",
            "caller",
            "origin of the mail's Message-ID: the caller's message_id, or the server",
            ("caller", "server"),
        ),
        Switch(
            "legacy_trans_id", "same", "ids of v1 mails in the tenant API: the UUID, or 24 hex digits", ("same", "hex")
        ),
        # webhook management
        Switch("webhook_create_status", 200, "status of POST webhooks", (200, 201)),
        Switch("webhook_update_unknown_status", 404, "status of PUT on an unknown webhook", (404, 400)),
        Switch("webhook_page_parameter", "page", "query parameter of the page number in GET webhooks"),
        Switch("webhooks_per_page", 15, "webhooks per page"),
        # webhook payloads
        Switch("records_per_delivery", 1, "records of one type per `data` array"),
        Switch("records_wait_seconds", 60, "virtual seconds until an incomplete `data` array is sent"),
        Switch("timestamp_format", "iso", "time format of the standard payload", ("iso", "offset", "unix")),
        Switch("standard_bounce_details", True, "standard payloads contain bounce_type and bounce_reason"),
        Switch("standard_link_url", True, "standard payloads of clicks contain link_url"),
        Switch("standard_user_agent", True, "standard payloads of opens and clicks contain user_agent and ip"),
        Switch("standard_custom_headers", False, "standard payloads contain custom_headers"),
        Switch("unknown_fields", False, "payloads contain unknown fields"),
        Switch(
            "form_style", "event", "format of form deliveries: JSON in `event`, or PHP brackets", ("event", "brackets")
        ),
        Switch("legacy_webhooks", True, "webhooks are sent for mails of the tenant API"),
        Switch("webhook_timeout", 10, "real seconds until a delivery without a response fails"),
        # the legacy field set and read-back
        Switch("legacy_event_date", "unix", "format of event_date", ("unix", "iso", "text")),
        Switch(
            "legacy_type_names",
            "past",
            "event type names: opened, clicked, bounced; or open, click, bounce",
            ("past", "short"),
        ),
        Switch("callback_ids_shared", True, "callback events and webhook events have the same ids"),
        Switch("callback_event_shape", "flat", "shape of the items of trans_callback_events", ("flat", "wrapped")),
        Switch("v1_visible_in_legacy", True, "the tenant API lists mails that were sent through v1"),
        Switch(
            "filter_spelling",
            "both",
            "accepted filter forms: x= (plain), filters[x]= (nested), or both",
            ("both", "plain", "nested"),
        ),
        Switch("count_over_maximum", "clamp", "a count above 100", ("clamp", "reject")),
        Switch("list_order", "requested", "lists follow direction, or are shuffled", ("requested", "shuffled")),
        Switch("legacy_send_body", "item", "response body of a legacy send", ("item", "empty")),
        Switch("legacy_bcc_limit", True, "a legacy send accepts only one bcc address"),
        # bulk email
        Switch("bulk_reports", True, "the endpoint email_reports exists"),
        Switch("bulk_audience", 200, "recipients of one bulk email"),
        Switch("bulk_sending_minutes", 10, "virtual minutes for which a bulk email is in state sending"),
        # extensions that Everlytic is not known to have
        Switch("complaints", False, "some recipients complain, as an event of type complaint"),
        # details of faults
        Switch(
            "retry_after",
            "both",
            "429 responses have Retry-After: some of them, always or never",
            ("both", "always", "never"),
        ),
        Switch("retry_after_seconds", 2, "seconds in Retry-After"),
        Switch("retry_after_form", "seconds", "format of Retry-After: a number or an HTTP date", ("seconds", "date")),
        Switch("hold_seconds", 120, "real seconds for which timeout_after_accept delays the response"),
    )
}

SEND, READ, HOOKS, DELIVERY = "send", "read", "webhooks", "delivery"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, its default routes, and the routes that it may be used on."""

    name: str
    description: str
    routes: tuple[str, ...] = (SEND,)
    allowed: tuple[str, ...] = (SEND,)


_ANY = (SEND, READ, HOOKS)

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("rate_limited", "429, not accepted", allowed=_ANY),
        Fault("server_error", "500, not accepted", allowed=_ANY),
        Fault("server_error_after_accept", "500, and the mail is sent"),
        Fault("unavailable", "503 with Retry-After, not accepted", allowed=_ANY),
        Fault("html_error", "502 with an HTML page of a proxy, not accepted", allowed=_ANY),
        Fault("firewall", "403 with an HTML page of a firewall, not accepted", allowed=_ANY),
        Fault("refused_content", "400 about the subject, not accepted"),
        Fault("bad_request_but_delivered", "400 with code 10601, and the mail is sent"),
        Fault("timeout_after_accept", "accepted, and the response is delayed beyond the caller's timeout"),
        Fault("reset_before_accept", "connection reset, not accepted", allowed=_ANY),
        Fault("reset_after_accept", "accepted, then connection reset"),
        Fault("truncated_json", "accepted, and the response is truncated", allowed=(SEND, READ)),
        Fault("broken_off", "the connection is closed in the middle of the response", (READ,), (READ,)),
        Fault("repeated_rows", "a page of a list repeats rows of the previous page", (READ,), (READ,)),
        Fault("shuffled_rows", "a page of a list is not in order", (READ,), (READ,)),
        Fault("unreadable_rows", "a page of a list has additional rows that cannot be parsed", (READ,), (READ,)),
        Fault("circular_pages", "the next link of a page points to the page itself", (READ,), (READ,)),
        Fault("sent_event_before_response", "the sent event is delivered before the response"),
        Fault("slow", "the response is delayed by 0.2 to 2 real seconds", allowed=_ANY),
        Fault("accepted_no_events", "accepted, and no event follows"),
        Fault("lost_webhooks", "the event is listed but no webhook is sent", (DELIVERY,), (DELIVERY,)),
        Fault("duplicate_webhooks", "the webhook is sent twice", (DELIVERY,), (DELIVERY,)),
        Fault("out_of_order_webhooks", "the webhook is sent up to 30 virtual minutes late", (DELIVERY,), (DELIVERY,)),
        Fault("unknown_event_type", "the webhook is sent again with an unknown event type", (DELIVERY,), (DELIVERY,)),
    )
}

DEFAULT_PROBABILITY = 0.1


@dataclass(frozen=True, slots=True)
class Scenario:
    """An active fault with its probability and routes."""

    fault: str
    probability: float
    routes: tuple[str, ...]

    @classmethod
    def create(cls, name: str, probability: float = DEFAULT_PROBABILITY, routes: Iterable[str] = ()) -> "Scenario":
        """Validate and create a scenario; raises ValueError with a sentence."""
        fault = FAULTS.get(name)
        if fault is None:
            message = f"There is no scenario {name!r}; use one of {', '.join(FAULTS)}."
            raise ValueError(message)
        used_routes = tuple(routes) or fault.routes
        if not 0 <= probability <= 1 or any(route not in fault.allowed for route in used_routes):
            message = f"The scenario {name} takes a probability from 0 to 1 and the routes {', '.join(fault.allowed)}."
            raise ValueError(message)
        return cls(name, probability, used_routes)

    @classmethod
    def parse(cls, text: str) -> "Scenario":
        """Parse ``NAME[=probability][@route,route]``; raises ValueError with a sentence."""
        rest, _, routes = text.partition("@")
        name, _, probability = rest.partition("=")
        try:
            value = float(probability) if probability else DEFAULT_PROBABILITY
        except ValueError:
            value = -1.0
        return cls.create(name.strip(), value, [route.strip() for route in routes.split(",") if route.strip()])


def parse_switch(text: str) -> tuple[str, SwitchValue]:
    """Parse ``name=value``; raises ValueError with a sentence."""
    name, _, value = text.partition("=")
    return name, get_switch(name).parse(value)


def get_switch(name: str) -> Switch:
    """Return a switch by name; raises ValueError with a sentence."""
    if name not in SWITCHES:
        message = f"There is no switch {name!r}; --list-switches prints all of them."
        raise ValueError(message)
    return SWITCHES[name]


def seeded_random(*parts: object) -> float:
    """Return a number in [0, 1) that depends only on the parts and is the same in every process."""
    digest = hashlib.blake2b(":".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(slots=True)
class Behaviour:
    """The active switches and scenarios of all usernames (``parent`` is None) or of one username."""

    seed: int = 0
    switches: dict[str, SwitchValue] = field(default_factory=dict)
    scenarios: dict[str, Scenario] = field(default_factory=dict)
    parent: "Behaviour | None" = None

    def get(self, name: str) -> SwitchValue:
        """Return the value of a switch: this username's, else the global one, else the default."""
        if name in self.switches:
            return self.switches[name]
        return self.parent.get(name) if self.parent is not None else SWITCHES[name].default

    def is_on(self, name: str) -> bool:
        """Return whether a boolean switch is on."""
        return self.get(name) is True

    def get_int(self, name: str) -> int:
        """Return the value of a numeric switch."""
        return int(self.get(name))

    def _active_scenarios(self) -> dict[str, Scenario]:
        return self.scenarios if self.parent is None else {**self.parent.scenarios, **self.scenarios}

    def pick_fault(self, route: str, key: object) -> str | None:
        """Return the first fault for ``key`` on ``route``, if any; it is the same for the same seed and key."""
        scenarios = self._active_scenarios()
        for name in FAULTS:
            scenario = scenarios.get(name)
            if scenario and route in scenario.routes and seeded_random(self.seed, name, key) < scenario.probability:
                return name
        return None

    def has_fault(self, fault: str, key: object) -> bool:
        """Return whether ``key`` has this fault, independently of other faults."""
        scenario = self._active_scenarios().get(fault)
        return scenario is not None and seeded_random(self.seed, fault, key) < scenario.probability


def format_listing() -> str:
    """Return every switch and scenario, one line each, for ``--list-switches``."""
    lines = ["switches (--switch name=value):"]
    for switch in SWITCHES.values():
        choices = f" [{'|'.join(map(str, switch.choices))}]" if switch.choices else ""
        lines.append(f"  {switch.name}={str(switch.default).lower()}{choices}  {switch.description}")
    lines.append(f"scenarios (--scenario name[=probability, default {DEFAULT_PROBABILITY}][@route,route]):")
    lines += [f"  {fault.name} @{','.join(fault.allowed)}  {fault.description}" for fault in FAULTS.values()]
    return "\n".join(lines)
