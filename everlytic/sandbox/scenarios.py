"""The sandbox's named switches (one per unproven assumption about Everlytic) and its faults, as data.

Each switch and fault holds for everyone or for one username, from the command line or from the control plane.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

SwitchValue = str | int | bool


@dataclass(frozen=True, slots=True)
class Switch:
    """One assumption: its default and the values it may take (empty = any value of the default's type)."""

    name: str
    default: SwitchValue
    line: str
    choices: tuple[SwitchValue, ...] = ()

    def read(self, text: object) -> SwitchValue:
        """A value from the command line or JSON; raises ValueError with a sentence."""
        value: object = text
        if isinstance(self.default, bool) and isinstance(text, str):
            value = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}.get(text.lower())
        elif isinstance(self.default, int) and isinstance(text, str) and text.lstrip("-").isdigit():
            value = int(text)
        fits = type(value) is type(self.default) and (not self.choices or value in self.choices)
        if isinstance(value, SwitchValue) and fits:
            return value
        allowed = ", ".join(map(str, self.choices)) or type(self.default).__name__
        message = f"The switch {self.name} cannot be {text!r}; it takes {allowed}."
        raise ValueError(message)


SWITCHES: Mapping[str, Switch] = {
    one.name: one
    for one in (
        # the v1 send
        Switch(
            "transactions_per", "recipient", "a send answers one id per `to` address, or one", ("recipient", "request")
        ),
        Switch("copies_make_transactions", False, "cc and bcc addresses get transactions of their own"),
        Switch("invalid_status", 400, "status of a refused v1 body", (400, 422)),
        Switch("unknown_template_status", 404, "status for a template id that is not a UUID", (400, 404)),
        Switch("tracking_default", True, "opens and links are tracked when the request does not say"),
        Switch("duplicate_message_id", "accept", "a message_id used before", ("accept", "reject")),
        Switch("opted_out", "accept_then_failed", "a send to somebody opted out", ("accept_then_failed", "reject_400")),
        Switch("quota", 0, "accepted mails per username before the quota is used up; 0 = no quota"),
        Switch("quota_status", 402, "status once the quota is used up", (402, 403, 429)),
        # ids
        Switch("message_id_echoed", True, "webhooks carry the caller's message_id; else one of the server's"),
        Switch(
            "rfc_message_id", "caller", "the mail's Message-ID comes from the caller's message_id", ("caller", "server")
        ),
        Switch("legacy_trans_id", "same", "v1 mails in the tenant API keep their UUID or get 24 hex", ("same", "hex")),
        # webhook management
        Switch("webhook_create_status", 200, "status of POST webhooks", (200, 201)),
        Switch("webhook_update_unknown_status", 404, "status of PUT on an unknown webhook", (404, 400)),
        Switch("webhook_page_parameter", "page", "query name of the page number in GET webhooks"),
        Switch("webhooks_per_page", 15, "webhooks on one page"),
        # webhook payloads
        Switch("records_per_delivery", 1, "records of one type put into one `data` array"),
        Switch("records_wait_seconds", 60, "virtual seconds a `data` array waits to fill up"),
        Switch("timestamp_format", "iso", "time format of the standard payload", ("iso", "offset", "unix")),
        Switch("standard_bounce_details", True, "standard payloads carry bounce_type and bounce_reason"),
        Switch("standard_link_url", True, "standard payloads of clicks carry link_url"),
        Switch("standard_user_agent", True, "standard payloads of opens and clicks carry user_agent and ip"),
        Switch("standard_custom_headers", False, "standard payloads echo custom_headers"),
        Switch("unknown_fields", False, "payloads carry fields nobody has heard of"),
        Switch("form_style", "event", "a form delivery is JSON in `event`, or PHP brackets", ("event", "brackets")),
        Switch("legacy_webhooks", True, "webhooks fire for mails sent through the tenant API"),
        Switch("webhook_timeout", 10, "real seconds until an unanswered delivery counts as failed"),
        # the legacy field set and read-back
        Switch("legacy_event_date", "unix", "event_date format", ("unix", "iso", "text")),
        Switch("legacy_type_names", "past", "opened, clicked, bounced; or open, click, bounce", ("past", "short")),
        Switch("callback_ids_shared", True, "callback events have the same ids as webhook events"),
        Switch("callback_event_shape", "flat", "items of trans_callback_events", ("flat", "wrapped")),
        Switch("v1_visible_in_legacy", True, "mails sent through v1 are listed by the tenant API"),
        Switch(
            "filter_spelling", "both", "how filters are read: x=, filters[x]=, or either", ("both", "plain", "nested")
        ),
        Switch("count_over_maximum", "clamp", "count above 100", ("clamp", "reject")),
        Switch("list_order", "asked", "lists keep to direction, or to an order of their own", ("asked", "shuffled")),
        Switch("legacy_send_body", "item", "body of a legacy send", ("item", "empty")),
        Switch("legacy_bcc_limit", True, "a legacy send takes one bcc address only"),
        # bulk email
        Switch("bulk_reports", True, "email_reports exists"),
        Switch("bulk_audience", 200, "people who get one bulk email"),
        Switch("bulk_sending_minutes", 10, "virtual minutes a bulk email stays in state sending"),
        # extensions Everlytic is not known to have
        Switch("complaints", False, "some people complain, as an event of type complaint"),
        # how faults look
        Switch("retry_after", "both", "429 answers carry Retry-After", ("both", "always", "never")),
        Switch("retry_after_seconds", 2, "seconds that Retry-After asks for"),
        Switch("retry_after_form", "seconds", "Retry-After is a number or an HTTP date", ("seconds", "date")),
        Switch("hold_seconds", 120, "real seconds timeout_after_accept keeps the caller waiting"),
    )
}

SEND, READ, HOOKS, DELIVERY = "send", "read", "webhooks", "delivery"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can go wrong, and the routes where it does unless told otherwise."""

    name: str
    line: str
    routes: tuple[str, ...] = (SEND,)
    allowed: tuple[str, ...] = (SEND,)


_ANY = (SEND, READ, HOOKS)

FAULTS: Mapping[str, Fault] = {
    one.name: one
    for one in (
        Fault("rate_limited", "429, not accepted", allowed=_ANY),
        Fault("server_error", "500, not accepted", allowed=_ANY),
        Fault("server_error_after_accept", "500, and the mail goes out"),
        Fault("unavailable", "503 with Retry-After, not accepted", allowed=_ANY),
        Fault("html_error", "502 with an HTML page as a proxy in front shows it, not accepted", allowed=_ANY),
        Fault("firewall", "403 with an HTML page as a firewall in front shows it, not accepted", allowed=_ANY),
        Fault("bad_request_but_delivered", "400 with code 10601, and the mail goes out"),
        Fault("timeout_after_accept", "accepted, and the answer is held back past the caller's time-out"),
        Fault("reset_before_accept", "connection reset, not accepted", allowed=_ANY),
        Fault("reset_after_accept", "accepted, then connection reset"),
        Fault("truncated_json", "accepted, and the answer is cut short", allowed=(SEND, READ)),
        Fault("broken_off", "the connection is closed in the middle of the answer", (READ,), (READ,)),
        Fault("repeated_rows", "a page of a list repeats rows of the page before", (READ,), (READ,)),
        Fault("shuffled_rows", "a page of a list is out of order", (READ,), (READ,)),
        Fault("unreadable_rows", "a page of a list has more rows, which cannot be read", (READ,), (READ,)),
        Fault("circular_pages", "a page of a list names itself as the next one", (READ,), (READ,)),
        Fault("sent_event_before_response", "the sent event arrives before the answer"),
        Fault("slow", "answered after 0.2 to 2 real seconds", allowed=_ANY),
        Fault("accepted_no_events", "accepted, and nothing ever happens"),
        Fault("lost_webhooks", "the event is listed but never pushed", (DELIVERY,), (DELIVERY,)),
        Fault("duplicate_webhooks", "pushed twice", (DELIVERY,), (DELIVERY,)),
        Fault("out_of_order_webhooks", "pushed up to 30 virtual minutes late", (DELIVERY,), (DELIVERY,)),
        Fault("unknown_event_type", "pushed once more as an event of an unheard-of type", (DELIVERY,), (DELIVERY,)),
    )
}

DEFAULT_PROBABILITY = 0.1


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault that is switched on: how likely, and where."""

    fault: str
    probability: float
    routes: tuple[str, ...]

    @classmethod
    def make(cls, name: str, probability: float = DEFAULT_PROBABILITY, routes: Iterable[str] = ()) -> "Scenario":
        """Check and build; raises ValueError with a sentence."""
        fault = FAULTS.get(name)
        if fault is None:
            message = f"There is no scenario {name!r}; there are {', '.join(FAULTS)}."
            raise ValueError(message)
        chosen = tuple(routes) or fault.routes
        if not 0 <= probability <= 1 or any(route not in fault.allowed for route in chosen):
            message = f"The scenario {name} takes a probability from 0 to 1 and the routes {', '.join(fault.allowed)}."
            raise ValueError(message)
        return cls(name, probability, chosen)

    @classmethod
    def parse(cls, text: str) -> "Scenario":
        """Read ``NAME[=probability][@route,route]``."""
        rest, _, routes = text.partition("@")
        name, _, probability = rest.partition("=")
        try:
            likely = float(probability) if probability else DEFAULT_PROBABILITY
        except ValueError:
            likely = -1.0
        return cls.make(name.strip(), likely, [one.strip() for one in routes.split(",") if one.strip()])


def parse_switch(text: str) -> tuple[str, SwitchValue]:
    """Read ``name=value``; raises ValueError with a sentence."""
    name, _, value = text.partition("=")
    return name, switch_named(name).read(value)


def switch_named(name: str) -> Switch:
    """The switch of that name; raises ValueError with a sentence."""
    if name not in SWITCHES:
        message = f"There is no switch {name!r}; --list-switches shows them all."
        raise ValueError(message)
    return SWITCHES[name]


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts alone, in every process."""
    digest = hashlib.blake2b(":".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(slots=True)
class Behaviour:
    """The switches and scenarios in force for everyone (``parent`` None) or for one username."""

    seed: int = 0
    switches: dict[str, SwitchValue] = field(default_factory=dict)
    scenarios: dict[str, Scenario] = field(default_factory=dict)
    parent: "Behaviour | None" = None

    def value(self, name: str) -> SwitchValue:
        """The value of a switch: this username's, else everyone's, else the default."""
        if name in self.switches:
            return self.switches[name]
        return self.parent.value(name) if self.parent is not None else SWITCHES[name].default

    def on(self, name: str) -> bool:
        """Whether a yes/no switch is on."""
        return self.value(name) is True

    def number(self, name: str) -> int:
        """The value of a numeric switch."""
        return int(self.value(name))

    def _in_force(self) -> dict[str, Scenario]:
        return self.scenarios if self.parent is None else {**self.parent.scenarios, **self.scenarios}

    def draw(self, route: str, key: object) -> str | None:
        """The first fault that strikes ``key`` on ``route``, if any; the same for the same seed and key."""
        scenarios = self._in_force()
        for name in FAULTS:
            scenario = scenarios.get(name)
            if scenario and route in scenario.routes and chance(self.seed, name, key) < scenario.probability:
                return name
        return None

    def draws(self, fault: str, key: object) -> bool:
        """Whether the fault of this name strikes ``key``, whichever others do too."""
        scenario = self._in_force().get(fault)
        return scenario is not None and chance(self.seed, fault, key) < scenario.probability


def listing() -> str:
    """Every switch and scenario, one line each, for ``--list-switches``."""
    lines = ["switches (--switch name=value):"]
    for one in SWITCHES.values():
        choices = f" [{'|'.join(map(str, one.choices))}]" if one.choices else ""
        lines.append(f"  {one.name}={str(one.default).lower()}{choices}  {one.line}")
    lines.append(f"scenarios (--scenario name[=probability, default {DEFAULT_PROBABILITY}][@route,route]):")
    lines += [f"  {one.name} @{','.join(one.allowed)}  {one.line}" for one in FAULTS.values()]
    return "\n".join(lines)
