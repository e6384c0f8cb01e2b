"""Who may not be mailed, as docs/api.md says it: a model of suppressions and of leads that have unsubscribed."""

import math
from dataclasses import dataclass, field

from tests.trials.persons import person_of


@dataclass(frozen=True, slots=True)
class Target:
    """What a suppression is about: a person in all spellings, or a domain."""

    name: str
    is_domain: bool = False

    def covers(self, address: str, *, below: bool) -> bool:
        """Return whether an address is meant, for a domain with or without those below it."""
        if not self.is_domain:
            return person_of(address) == self.name
        domain = address.rpartition("@")[2]
        return domain == self.name or (below and domain.endswith(f".{self.name}"))


@dataclass(slots=True)
class Suppression:
    """A suppression from its beginning to its removal; `owner` is an account, or a workspace by its path."""

    owner: str
    target: Target
    below: bool
    since: float
    until: float = math.inf


@dataclass(slots=True)
class KnownLead:
    """A lead by its id."""

    id: str
    path: str
    account: str
    address: str
    is_deleted: bool = False
    has_unsubscribed: bool = False
    unsubscribed_at: float = math.inf
    may_have_unsubscribed: bool = False
    """The guide does not say whether it has."""
    is_under_review: bool = False
    """A message that may count for it waits for a user; until then no mail may go to the person."""


@dataclass(slots=True)
class Model:
    """All suppressions that there ever were, and all leads."""

    suppressions: list[Suppression] = field(default_factory=list)
    leads: list[KnownLead] = field(default_factory=list)
    authors_under_review: set[tuple[str, str]] = field(default_factory=set)
    """The accounts and persons of messages that wait for a user."""

    def suppress(self, owner: str, target: Target, at: float, *, below: bool = False) -> None:
        """Suppress, or widen what is suppressed: a second one is the same suppression."""
        standing = self.find(owner, target)
        if below or not standing:
            wider = below or any(each.below for each in standing)
            self.suppressions.append(Suppression(owner, target, wider, at))

    def find(self, owner: str, target: Target) -> list[Suppression]:
        """Return what stands about a target, a widened domain several times."""
        return [
            each
            for each in self.suppressions
            if (each.owner, each.target) == (owner, target) and math.isinf(each.until)
        ]

    def remove(self, owner: str, target: Target, at: float) -> None:
        """End a suppression. Leads that have unsubscribed stay so."""
        for each in self.find(owner, target):
            each.until = at

    def list_standing(self, *owners: str) -> set[tuple[str, Target, bool]]:
        """Return what a workspace shows: its own suppressions and those of its account."""
        found: dict[tuple[str, Target], bool] = {}
        for each in self.suppressions:
            if each.owner in owners and math.isinf(each.until):
                key = each.owner, each.target
                found[key] = found.get(key, False) or each.below
        return {(owner, target, below) for (owner, target), below in found.items()}

    def is_suppressed(self, address: str, *owners: str, at: float) -> bool:
        """Return whether an address must not be mailed at a time by a workspace."""
        return any(
            each.owner in owners and each.since < at < each.until and each.target.covers(address, below=each.below)
            for each in self.suppressions
        )

    def unsubscribe(self, account: str, address: str, at: float, lead: KnownLead | None = None) -> None:
        """Suppress a person for the account and stop all their leads in it; and the lead of the mail."""
        self.suppress(account, Target(person_of(address)), at)
        for each in self.leads:
            is_holder = each.account == account and person_of(each.address) == person_of(address)
            if (is_holder or each is lead) and not each.has_unsubscribed:
                each.has_unsubscribed, each.unsubscribed_at = True, at

    def find_lead(self, lead_id: str) -> KnownLead:
        """Return a lead by its id."""
        return next(lead for lead in self.leads if lead.id == lead_id)

    def find_holder(self, path: str, address: str) -> KnownLead | None:
        """Return the lead of a workspace that has an address and is not deleted."""
        held = [lead for lead in self.leads if (lead.path, lead.address) == (path, address) and not lead.is_deleted]
        return held[0] if held else None

    def list_mailable(self, path: str, account: str, at: float) -> tuple[set[str], set[str]]:
        """Return the addresses that a workspace must mail when it mails all its leads, and those that it may."""
        held = self.authors_under_review | {
            (lead.account, person_of(lead.address)) for lead in self.leads if lead.is_under_review
        }
        must: set[str] = set()
        may: set[str] = set()
        for lead in self.leads:
            is_possible = lead.path == path and not lead.is_deleted and not lead.has_unsubscribed
            if is_possible and not self.is_suppressed(lead.address, path, account, at=at):
                is_certain = not lead.may_have_unsubscribed and (account, person_of(lead.address)) not in held
                (must if is_certain else may).add(lead.address)
        return must, may
