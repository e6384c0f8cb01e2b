"""Assigns the send slots of a workspace: which mail may leave when, under its send limits."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.slots import repository
from api.delivery.slots.repository import Slot
from api.delivery.slots.schedule import get_holiday_check
from database.models import Workspace
from domain.schedule import Rule, to_utc
from domain.send_limits import DailyCap, Ramp, RateLimit, SendLimits, SlotUsage

RESERVATION_GRACE = timedelta(minutes=1)
"""How long a slot stays reserved after its time. After an outage, mails that missed their slots get new ones."""


def get_send_limits(workspace: Workspace) -> SendLimits:
    """Return the send limits of a workspace."""
    cap = rate = gap = None
    if workspace.daily_cap is not None:
        weekdays, is_holiday = workspace.sending_weekdays, get_holiday_check(workspace.holidays_country)
        cap = DailyCap(
            workspace.daily_cap,
            _get_ramp(workspace),
            lambda day: day.weekday() in weekdays and not is_holiday(day),
        )
    if workspace.sends_per_minute is not None:
        rate = RateLimit(workspace.sends_per_minute)
    if workspace.domain_gap_seconds is not None:
        gap = timedelta(seconds=workspace.domain_gap_seconds)
    return SendLimits(ZoneInfo(workspace.timezone), cap, rate, gap)


def _get_ramp(workspace: Workspace) -> Ramp | None:
    start, first, step = workspace.ramp_start, workspace.ramp_from, workspace.ramp_step
    return None if start is None or first is None or step is None else Ramp(start, first, step)


async def read_slot_ledger(
    session: AsyncSession, workspace: Workspace, now: datetime, mails: Mapping[UUID, str]
) -> "SlotLedger":
    """Return the slots of a workspace, as far as `mails` (draft, recipient's domain) need them.

    It is exact when the caller has locked the workspace, because then no other claim takes slots.
    """
    limits, reserved_since = get_send_limits(workspace), now - RESERVATION_GRACE
    if not limits.is_limited:
        return SlotLedger(limits, {}, SlotUsage(limits), SlotUsage(limits))
    reserved = await repository.find_reserved_slots(session, workspace.id, mails.keys(), reserved_since)
    used_days, committed_days = Counter[date](), Counter[date]()
    if limits.cap is not None:
        used_days[limits.local_date(now)] = await repository.count_claims_since(
            session, workspace.id, _start_of_day(limits, now)
        )
        committed_days.update(used_days)
        buckets = await repository.count_reserved_by_bucket(session, workspace.id, reserved_since)
        for start, slots in buckets.items():
            committed_days[limits.local_date(start)] += slots
    used_windows, committed_windows = dict[int, int](), dict[int, int]()
    if limits.rate is not None:
        window = limits.rate.window_at(now)
        window_start = limits.rate.window_start(window)
        used_windows[window] = await repository.count_used_since(session, workspace.id, window_start)
        committed_windows = await repository.count_taken_by_rate_window(
            session, workspace.id, limits.rate, reserved_since=reserved_since, used_since=window_start
        )
    domain_slots: list[Slot] = []
    if limits.gap is not None:
        # A slot keeps the domain that its mail had when it was reserved: the lead may have another address now.
        domains = {*mails.values(), *(slot.domain for slot in reserved.values())}
        domain_slots = await repository.list_slots_of_domains(
            session, workspace.id, domains, reserved_since=reserved_since, used_since=now - limits.gap
        )
    used_moments = [(slot.at, slot.domain) for slot in domain_slots if slot.is_used]
    used = SlotUsage(limits, used_days, used_windows, used_moments)
    committed_moments = [(slot.at, slot.domain) for slot in domain_slots]
    committed = SlotUsage(limits, committed_days, committed_windows, committed_moments)
    return SlotLedger(limits, reserved, used, committed)


async def find_send_job(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, job_type: str
) -> tuple[UUID, datetime] | None:
    """Return (id, run at) of the pending or running job that sends a draft; None if there is no such job."""
    return await repository.find_send_job(session, workspace_id, draft_id, job_type)


async def list_earlier_jobs(
    session: AsyncSession, workspace: Workspace, job_type: str, job: tuple[UUID, datetime], now: datetime
) -> dict[UUID, datetime]:
    """Return the drafts without a reserved slot whose jobs run before `job`, with when they run, in that order.

    It is empty when the workspace has no limits, because then no mail waits for another.
    """
    if not get_send_limits(workspace).is_limited:
        return {}
    return await repository.list_earlier_jobs(
        session, workspace.id, job_type, job, now=now, reserved_since=now - RESERVATION_GRACE
    )


async def write_slot_ledger(session: AsyncSession, workspace_id: UUID, ledger: "SlotLedger", now: datetime) -> None:
    """Write the slots that a claim has changed."""
    if ledger.changes:
        expired_before = now - _get_lookback(ledger.limits)
        await repository.write_slots(session, workspace_id, ledger.changes, expired_before=expired_before)


def _start_of_day(limits: SendLimits, now: datetime) -> datetime:
    """Return when the workspace's day of `now` began (UTC)."""
    return to_utc(limits.local_date(now), time(0), limits.zone)


def _get_lookback(limits: SendLimits) -> timedelta:
    """Return for how long a used slot can defer another mail. The daily cap counts claims and does not need it."""
    return max(limits.gap or timedelta(), RESERVATION_GRACE)


class SlotLedger:
    """The slots of a workspace as a claim reads them under its lock, and the changes that the claim makes.

    A slot is reserved for a waiting mail, then used by it. Used and reserved slots together are committed.
    A mail with a reserved slot competes only with used slots. A mail without one, or one that missed its slot by
    `RESERVATION_GRACE`, gets the first slot that is not committed.
    """

    def __init__(
        self, limits: SendLimits, reserved: Mapping[UUID, Slot], used: SlotUsage, committed: SlotUsage
    ) -> None:
        """`reserved` are the slots of the claim's drafts; `committed` counts them, all others, and the used ones."""
        self.changes: dict[UUID, Slot | None] = {}
        """What to write: the slot of each draft, None for a released slot."""
        self.limits = limits
        self._reserved, self._used, self._committed = dict(reserved), used, committed

    def get_reserved_time(self, draft_id: UUID) -> datetime | None:
        """Return the time of the slot reserved for a draft, None if there is none."""
        slot = self._reserved.get(draft_id)
        return slot.at if slot else None

    def get_rules(self, draft_id: UUID, domain: str) -> list[Rule]:
        """Return the rules of the send limits for a draft to a domain."""
        return (self._used if draft_id in self._reserved else self._committed).get_rules(domain)

    def use(self, draft_id: UUID, domain: str, now: datetime) -> None:
        """Take a slot for a draft that leaves now."""
        self.release(draft_id)
        for usage in (self._used, self._committed):
            usage.add(now, domain)
        # The daily cap counts claims, so it needs no used slots.
        if self.limits.rate is not None or self.limits.gap is not None:
            self.changes[draft_id] = Slot(domain, now, is_used=True)

    def reserve(self, draft_id: UUID, domain: str, at: datetime) -> None:
        """Reserve a slot for a draft, in place of the one it has."""
        self._drop_reservation(draft_id)
        if self.limits.is_limited:
            slot = self.changes[draft_id] = self._reserved[draft_id] = Slot(domain, at, is_used=False)
            self._committed.add(slot.at, domain)

    def reschedule(self, draft_id: UUID, domain: str, now: datetime, at: datetime) -> None:
        """Move a draft that has used a slot now to a reserved slot at `at`."""
        for usage in (self._used, self._committed):
            usage.add(now, domain, -1)
        self.reserve(draft_id, domain, at)

    def release(self, draft_id: UUID) -> None:
        """Release the reserved slot of a draft, if it has one, to other mails."""
        if self._drop_reservation(draft_id):
            self.changes[draft_id] = None

    def _drop_reservation(self, draft_id: UUID) -> bool:
        slot = self._reserved.pop(draft_id, None)
        if slot is not None:
            self._committed.add(slot.at, slot.domain, -1)
        return slot is not None
