"""Chooses the values that show why a column is taken for what it is."""

from collections.abc import Mapping

from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.shapes import Kind, kinds_of
from ai.workflows.csv_mapping.state import Target

SHOWN = 3

# What the values of a target look like, the most telling kind first.
_TELLING: Mapping[Target, tuple[Kind, ...]] = {
    Target.EMAIL: (Kind.EMAIL,),
    Target.TIMEZONE: (Kind.ZONE,),
    Target.SEGMENT: (Kind.SIZE_CLASS, Kind.SIZE, Kind.SIZE_RANGE, Kind.COUNT),
    Target.ROLE: (Kind.ROLE,),
    Target.COMPANY: (Kind.COMPANY,),
    Target.FIRST_NAME: (Kind.GIVEN, Kind.NAME),
    Target.LAST_NAME: (Kind.NAME,),
    Target.FULL_NAME: (Kind.GIVEN, Kind.TWO_WORDS),
}


def convincing(column: Column, target: Target) -> tuple[str, ...]:
    """Return up to three different values: of the kind that decided, or the first ones where no kind did."""
    foremost = column.shape.foremost
    for kind in _TELLING.get(target, (foremost,) if foremost else ()):
        if found := [value for value in dict.fromkeys(column.values) if kind in kinds_of(value)]:
            return tuple(found[:SHOWN])
    return tuple(dict.fromkeys(column.values))[:SHOWN]
