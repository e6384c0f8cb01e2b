"""Computes when a step may be sent: its delay, the recipient's hours and public holidays."""

from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from database.models import SequenceStep, Workspace
from domain.schedule import (
    Constraint,
    NotBefore,
    SendingHours,
    SendingTime,
    SendingWindow,
    StepDelay,
    add_delay,
    find_sending_time,
)

NO_DELAY = StepDelay()


def find_step_time(
    workspace: Workspace,
    zone: str | None,
    *,
    now: datetime,
    previous: datetime | None = None,
    delay: StepDelay = NO_DELAY,
) -> SendingTime:
    """Return the earliest time of a step by its delay and the recipient's sending hours.

    Send limits do not count here: the step gets a send slot when it is due. `previous` is when the step before was
    sent; None for the first step, whose delay counts from `now`.
    """
    hours = get_sending_hours(workspace, zone)
    due = add_delay(previous or now, delay, hours.zone)
    return find_sending_time(now, [NotBefore(Constraint.STEP_DELAY, due), hours])


def get_sending_hours(workspace: Workspace, zone: str | None) -> SendingHours:
    """Return the sending hours for a recipient in a time zone; None is the workspace's zone."""
    window = SendingWindow(workspace.window_start, workspace.window_end, frozenset(workspace.sending_weekdays))
    return SendingHours(ZoneInfo(zone or workspace.timezone), window, get_holiday_check(workspace.holidays_country))


@lru_cache(maxsize=64)
def get_holiday_check(country: str | None) -> Callable[[date], bool]:
    """Return the function that checks whether a date is a public holiday of a country; None has no holidays."""
    if country is None:
        return lambda _day: False
    calendar = holidays.country_holidays(country)
    return lambda day: day in calendar


def get_step_delay(step: SequenceStep) -> StepDelay:
    """Return the delay of a step."""
    return StepDelay(step.delay_days, step.delay_hours)
