"""The errors of this room: full sentences that name what is wrong and what to do."""


class OrchestrationError(Exception):
    """Base of all errors of this room."""


class InvalidClock(OrchestrationError):
    """SALESMATTER_CLOCK is not '<real epoch seconds>,<virtual ISO instant>,<speed>'."""


class DbtFailed(OrchestrationError):
    """dbt could not read its project, or a model or test failed."""


class UnknownDay(OrchestrationError):
    """A business day outside the partitions that are known."""
