"""Reads the labelled texts: one TOML file per request, with good answers and answers with one fault each."""

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
    """An answer to a request; `label` is `good` or the kind of its fault."""

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
        """Whether the answer may become a draft."""
        return self.label == GOOD

    def __str__(self) -> str:
        return f"{self.half}/{self.file}, case {self.number} ({self.label})"


def read_cases(path: Path) -> list[Case]:
    """Return the cases of a file; raises ValueError for an unknown label and for a line without sources."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    request = EmailGenerationInput.model_validate(_strip_values(content["request"]))
    cases = []
    for number, case in enumerate(content["cases"], 1):
        if case["label"] not in LABELS:
            raise ValueError(f"{path.name}: the label {case['label']} is not one of {', '.join(LABELS)}.")
        answer = WrittenEmail(subject=case["subject"], paragraphs=list(_read_paragraphs(path.name, case["body"])))
        cases.append(Case(path.stem, path.parent.name, number, case["label"], request, answer))
    return cases


def _strip_values(request: dict[str, object]) -> dict[str, object]:
    return {name: value.strip() if isinstance(value, str) else value for name, value in request.items()}


def _read_paragraphs(name: str, body: str) -> Iterator[list[Sentence]]:
    """Yield paragraphs with a sentence per line: `source, source | text`, `-` for no source, `\\n` for a line break."""
    for block in body.strip().split("\n\n"):
        sentences = []
        for line in block.splitlines():
            sources, separator, text = line.partition(" | ")
            if not separator:
                raise ValueError(f"{name}: the line {line!r} does not name its sources.")
            names = [] if sources.strip() == "-" else [source.strip() for source in sources.split(",")]
            sentences.append(Sentence(text=text.strip().replace("\\n", "\n"), sources=names))
        yield sentences


def load_cases() -> list[Case]:
    """Return all labelled texts, by half and file."""
    return [case for half in HALVES for path in sorted((FOLDER / half).glob("*.toml")) for case in read_cases(path)]
