"""Draws lifecycles and AI workflows from the code into docs/lifecycles.md: `python -m tests.architecture.diagrams`."""

import re
from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from ai.registry import WORKFLOWS, load_graph
from domain import draft, enrollment, job, lead, lead_import, sequence
from tests import ROOT

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)

PAGE = ROOT / "docs" / "lifecycles.md"
_DRAWING = re.compile(r"(?<=<!-- drawn: )(?P<name>\w+) -->\n.*?(?=<!-- end -->)", re.DOTALL)


def of_states(transitions: Mapping[tuple[State, Event], State], first: State) -> str:
    """Return a table of legal moves as a Mermaid state diagram; where nothing leads on, it ends."""
    events: dict[tuple[State, State], list[Event]] = defaultdict(list)
    for (source, event), target in transitions.items():
        events[source, target].append(event)
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {source} --> {target}: {', '.join(together)}" for (source, target), together in events.items()]
    ends = {target: None for target in transitions.values() if target not in {source for source, _ in transitions}}
    return "\n".join([*lines, *(f"    {end} --> [*]" for end in ends)])


def of_workflow(name: str) -> str:
    """Return a workflow's graph as LangGraph draws it, without its colours."""
    drawn = load_graph(name).get_graph().draw_mermaid(with_styles=False)
    return "\n".join(line.replace("\t", "    ").rstrip(" ;") for line in drawn.strip().splitlines())


def drawings() -> dict[str, str]:
    """Return every drawing of the page by its name."""
    return {
        "lead": of_states(lead.TRANSITIONS, lead.LeadStatus.NEW),
        "enrollment": of_states(enrollment.TRANSITIONS, enrollment.EnrollmentStatus.ACTIVE),
        "sequence": of_states(sequence.TRANSITIONS, sequence.SequenceStatus.DRAFT),
        "draft": of_states(draft.TRANSITIONS, draft.DraftStatus.PENDING),
        "import": of_states(lead_import.TRANSITIONS, lead_import.ImportState.MAPPED),
        "job": of_states(job.TRANSITIONS, job.JobStatus.PENDING),
        **{name: of_workflow(name) for name in WORKFLOWS},
    }


def redrawn(page: str) -> str:
    """Return the page with each of its drawings as the code is now; raises KeyError for one that is not known."""
    known = drawings()
    return _DRAWING.sub(lambda found: f"{found['name']} -->\n```mermaid\n{known[found['name']]}\n```\n", page)


def names_in(page: str) -> list[str]:
    """Return the names of the drawings that a page has room for."""
    return [found["name"] for found in _DRAWING.finditer(page)]


def draw(path: Path = PAGE) -> None:
    """Bring the drawings of the page up to date."""
    path.write_text(redrawn(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    draw()
