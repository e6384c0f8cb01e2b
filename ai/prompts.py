"""Loads the prompts of workflows: Markdown files with name and version in their front matter."""

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
    """A prompt: `name` is `<workflow>/<file>`; `version` starts at 1, and is the same in Langfuse."""

    name: str
    version: int
    text: str


@cache
def load(workflow: str, name: str) -> Prompt:
    """Return the prompt in `workflows/<workflow>/prompts/<name>.md`; raises PromptNotFound."""
    file = files("ai.workflows") / workflow / "prompts" / f"{name}.md"
    if not file.is_file():
        raise PromptNotFound(f"The workflow {workflow} has no prompt {name}.")
    match = _FILE.match(file.read_text(encoding="utf-8"))
    matter = dict(line.split(": ", 1) for line in match["matter"].splitlines()) if match else {}
    if not match or matter.get("name") != f"{workflow}/{name}" or not matter.get("version", "").isdecimal():
        raise PromptNotFound(
            f"The prompt {name} of {workflow} must start with front matter: `name: {workflow}/{name}` and `version`, "
            "an integer that increases with every change of the text."
        )
    return Prompt(matter["name"], int(matter["version"]), match["text"].strip())


def list_prompts() -> list[Prompt]:
    """Return the prompts of all workflows, sorted by name."""
    folders = sorted(folder.name for folder in files("ai.workflows").iterdir() if (folder / "prompts").is_dir())
    return [
        load(workflow, file.name.removesuffix(".md"))
        for workflow in folders
        for file in sorted((files("ai.workflows") / workflow / "prompts").iterdir(), key=lambda file: file.name)
        if file.name.endswith(".md")
    ]


def fence(data: Mapping[str, object]) -> str:
    """Return the data as JSON inside a pair of tags that the data cannot close.

    Data of leads, senders and files is passed to a model only in this form, and the prompts say not to follow it.
    """
    text = json.dumps(data, ensure_ascii=False, indent=1, default=str)
    return "<data>\n" + text.replace("<", "\\u003c").replace(">", "\\u003e") + "\n</data>"
