"""What answers of a model took, and how a text or a judgement came about."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True, slots=True)
class Usage:
    """What one or more answers took; `cost` is in USD, None where the model's price is not known."""

    model: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None

    @property
    def tokens(self) -> int:
        """How many tokens were read and written."""
        return self.tokens_in + self.tokens_out

    def __add__(self, later: "Usage") -> "Usage":
        parts = [part for part in (self, later) if part.tokens]
        costs = [part.cost for part in parts if part.cost is not None]
        return Usage(
            model=later.model or self.model,
            tokens_in=self.tokens_in + later.tokens_in,
            tokens_out=self.tokens_out + later.tokens_out,
            cost=sum(costs) if costs and len(costs) == len(parts) else None,
        )


class Generation(BaseModel):
    """How an output came about.

    `model` and the prompt are those whose answer it is, None where rules or a template made it; tokens and `cost` (USD,
    None if unknown) are of all that was asked on the way, answers that were refused included.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model: str | None = None
    prompt_name: str | None = None
    prompt_version: int | None = None
    trace_id: str | None = None
    trace_url: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    fallback_reason: str | None = None
