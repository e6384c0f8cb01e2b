"""Errors of the orchestration package; each message says what is wrong and what to do."""


class OrchestrationError(Exception):
    """Base of all errors of this package."""


class DbtFailed(OrchestrationError):
    """dbt could not read its project, or a model or test failed."""


class UnknownDay(OrchestrationError):
    """A business day has no partition."""
