"""The response bodies of model usage."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from api.http.pagination import Wire


class AiWorkflow(StrEnum):
    """A workflow that calls models."""

    CSV_MAPPING = "csv_mapping"
    EMAIL_GENERATION = "email_generation"
    INTENT_CLASSIFICATION = "intent_classification"


class UsageDay(Wire):
    """The requests of a workflow to a model on one day in the workspace's time zone; rules alone are not counted."""

    day: date
    workflow: AiWorkflow
    model: str
    requests: Annotated[int, Field(description="Requests to the model.")]
    answered: Annotated[int, Field(description="Requests with an answer in the expected form.")]
    refused: Annotated[int, Field(description="Requests that were not sent, because the day's budget was used up.")]
    tokens_in: int
    tokens_out: int
    cost: Annotated[float, Field(description="USD, of the requests whose price is known.")]
    unpriced: Annotated[int, Field(description="Requests whose price is not known.")]


class TodaysBudget(Wire):
    """Today's token budget."""

    day: date
    tokens: Annotated[int | None, Field(description="The workspace's dailyTokenBudget; null is no limit.")]
    used: Annotated[int, Field(description="Tokens used today, including reserved tokens.")]


class UsageOut(Wire):
    """Model usage, newest day first, and today's budget."""

    today: TodaysBudget
    days: list[UsageDay]


class GenerationOut(Wire):
    """How a text or a classification was made.

    `model` and the prompt are null if a template or rules were used; `fallbackReason` says why. Tokens and cost include
    calls whose answers were rejected.
    """

    model: str | None = None
    prompt_name: str | None = None
    prompt_version: int | None = None
    trace_id: str | None = None
    trace_url: Annotated[str | None, Field(description="The trace in Langfuse, if there is one.")] = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: Annotated[float | None, Field(description="USD; null if the price of the model is not known.")] = None
    fallback_reason: str | None = None
