"""The labelled texts: one TOML file per request, with what a model may answer to it, sound or faulty in one way."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ai.workflows.email_generation.state import EmailGenerationInput, Sentence, WrittenEmail

FOLDER = Path(__file__).parent
HALVES = ("tuned", "held_out")
GOOD = "good"
LABELS = ("good", "claim", "company", "contact", "length", "link", "name", "spam", "unfilled", "unsubscribe")


@dataclass(frozen=True, slots=True)
class Case:
    """One answer to a request; `label` is `good`, or what is wrong with it."""

    file: str
    half: str
    number: int
    label: str
    request: EmailGenerationInput
    answer: WrittenEmail

    @property
    def language(self) -> str:
        """The first part of the file's name."""
        return self.file.partition("-")[0]

    @property
    def is_good(self) -> bool:
        """Tell whether the answer may leave as a draft."""
        return self.label == GOOD

    def __str__(self) -> str:
        return f"{self.half}/{self.file}, case {self.number} ({self.label})"


def read_cases(path: Path) -> list[Case]:
    """Return the cases of a file; raises ValueError for an unknown label and for a line without its sources."""
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    request = EmailGenerationInput.model_validate(_stripped(told["request"]))
    cases = []
    for number, case in enumerate(told["cases"], 1):
        if case["label"] not in LABELS:
            raise ValueError(f"{path.name}: the label {case['label']} is none of {', '.join(LABELS)}.")
        answer = WrittenEmail(subject=case["subject"], paragraphs=list(_paragraphs(path.name, case["body"])))
        cases.append(Case(path.stem, path.parent.name, number, case["label"], request, answer))
    return cases


def _stripped(request: dict[str, object]) -> dict[str, object]:
    return {name: value.strip() if isinstance(value, str) else value for name, value in request.items()}


def _paragraphs(name: str, body: str) -> Iterator[list[Sentence]]:
    """Read a sentence a line: `source, source | text`, `-` for no source, `\\n` for a line break."""
    for block in body.strip().split("\n\n"):
        sentences = []
        for line in block.splitlines():
            sources, parted, text = line.partition(" | ")
            if not parted:
                raise ValueError(f"{name}: the line {line!r} does not name its sources.")
            named = [] if sources.strip() == "-" else [source.strip() for source in sources.split(",")]
            sentences.append(Sentence(text=text.strip().replace("\\n", "\n"), sources=named))
        yield sentences


def cases() -> list[Case]:
    """Return all labelled texts, by half and file."""
    return [case for half in HALVES for path in sorted((FOLDER / half).glob("*.toml")) for case in read_cases(path)]
