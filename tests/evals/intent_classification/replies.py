"""Reads the labelled replies: one TOML file per half and language, with a table `[[reply]]` for each reply."""

import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ai.workflows.intent_classification.state import Intent, IntentInput

FOLDER = Path(__file__).parent
HALVES = ("tuned", "held_out")
FRIDAY = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class LabelledReply(BaseModel):
    """A reply; it has two labels when both are acceptable. `name` begins with the language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    half: str
    name: str
    labels: frozenset[Intent] = Field(min_length=1, max_length=2)
    subject: str
    headers: dict[str, str] = {}
    received: AwareDatetime = FRIDAY
    return_date: date | None = None
    text: str

    @property
    def language(self) -> str:
        """The code of the reply's language."""
        return self.name.partition("-")[0]

    @property
    def material(self) -> IntentInput:
        """The reply as the workflow's input."""
        return IntentInput(
            headers=list(self.headers.items()), subject=self.subject, text=self.text, received_at=self.received
        )


def read_replies(path: Path) -> list[LabelledReply]:
    """Return the replies of a file; raises ValidationError for an invalid one."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["reply"]
    return [LabelledReply.model_validate({"half": path.parent.name, **table}) for table in tables]


def load_replies() -> list[LabelledReply]:
    """Return all labelled replies, by half and language."""
    return [reply for half in HALVES for path in sorted((FOLDER / half).glob("*.toml")) for reply in read_replies(path)]
