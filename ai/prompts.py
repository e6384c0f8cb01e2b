"""Loads the workflows' prompts: Markdown files whose front matter gives name and version."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ai.errors import PromptNotFound

_FILE = re.compile(r"\A---\n(?P<matter>.*?)\n---\n(?P<text>.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt: `name` is `<workflow>/<file>`, `version` counts its texts from 1, in Langfuse too."""

    name: str
    version: int
    text: str


@cache
def load(workflow: str, name: str) -> Prompt:
    """Return the prompt in `workflows/<workflow>/prompts/<name>.md`; PromptNotFound if it is missing or unlabelled."""
    file = files("ai.workflows") / workflow / "prompts" / f"{name}.md"
    if not file.is_file():
        raise PromptNotFound(f"There is no prompt {name} in the workflow {workflow}.")
    found = _FILE.match(file.read_text(encoding="utf-8"))
    matter = dict(line.split(": ", 1) for line in found["matter"].splitlines()) if found else {}
    if not found or matter.get("name") != f"{workflow}/{name}" or not matter.get("version", "").isdecimal():
        raise PromptNotFound(
            f"The prompt {name} of {workflow} must start with front matter: `name: {workflow}/{name}` and a `version`, "
            "a whole number that is raised with every change of its text."
        )
    return Prompt(matter["name"], int(matter["version"]), found["text"].strip())


def all_prompts() -> list[Prompt]:
    """Return the prompts of every workflow, by name."""
    folders = sorted(folder.name for folder in files("ai.workflows").iterdir() if (folder / "prompts").is_dir())
    return [
        load(workflow, file.name.removesuffix(".md"))
        for workflow in folders
        for file in sorted((files("ai.workflows") / workflow / "prompts").iterdir(), key=lambda one: one.name)
        if file.name.endswith(".md")
    ]


def fence(data: Mapping[str, object]) -> str:
    """Return the data as JSON inside one pair of tags that the data itself cannot close.

    What leads, senders and files contain goes to a model only in this form; the prompts say that it is never obeyed.
    """
    text = json.dumps(data, ensure_ascii=False, indent=1, default=str)
    return "<data>\n" + text.replace("<", "\\u003c").replace(">", "\\u003e") + "\n</data>"
