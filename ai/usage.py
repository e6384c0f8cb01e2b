"""Token usage of model calls, and how an output was generated."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of one or more calls; `cost` is in USD, or None if the model's price is unknown."""

    model: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None

    @property
    def tokens(self) -> int:
        """The number of input and output tokens."""
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
    """How an output was generated.

    `model` and the prompt are None when rules or a template made it; tokens and `cost` (USD, None if unknown) include
    all model calls of the run, also those whose answers were rejected.
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
