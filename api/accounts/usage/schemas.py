"""What models take, on the wire."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from api.http.pagination import Wire


class AiWorkflow(StrEnum):
    """What a model is asked for."""

    CSV_MAPPING = "csv_mapping"
    EMAIL_GENERATION = "email_generation"
    INTENT_CLASSIFICATION = "intent_classification"


class UsageDay(Wire):
    """What one workflow asked of one model on one day of the workspace's zone; work done by rules alone is not here."""

    day: date
    workflow: AiWorkflow
    model: str
    asked: Annotated[int, Field(description="Questions that went to the model.")]
    answered: Annotated[int, Field(description="Those of them that it answered in the agreed form.")]
    refused: Annotated[int, Field(description="Questions that were not asked, because of the day's budget.")]
    tokens_in: int
    tokens_out: int
    cost: Annotated[float, Field(description="USD, of the questions whose price is known.")]
    unpriced: Annotated[int, Field(description="Questions that took tokens at a price that is not known.")]


class TodaysBudget(Wire):
    """What models may still take today."""

    day: date
    tokens: Annotated[int | None, Field(description="The workspace's dailyTokenBudget; null is no limit.")]
    used: Annotated[int, Field(description="Tokens taken today, with those kept for questions under way.")]


class UsageOut(Wire):
    """What models took, newest day first, and today's budget."""

    today: TodaysBudget
    days: list[UsageDay]


class GenerationOut(Wire):
    """How a text or a judgement came about.

    `model` and the prompt are null where a template or rules made it, and `fallbackReason` says why. Tokens and cost
    are of all that was asked for it, answers that were refused included.
    """

    model: str | None = None
    prompt_name: str | None = None
    prompt_version: int | None = None
    trace_id: str | None = None
    trace_url: Annotated[str | None, Field(description="The trace in Langfuse, where it is kept.")] = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: Annotated[float | None, Field(description="USD; null where the model's price is not known.")] = None
    fallback_reason: str | None = None
