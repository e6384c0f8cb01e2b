"""Lists the words that the rules of plain language ban, file by file: `python -m tests.architecture.words`."""

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from tests import ROOT
from tests.architecture.tree import files

IN_SENTENCES = re.compile(
    r"\b(whoever|whomever|whom|nobody|somebody|lest|for good|have it back|of its own accord|all that)\b", re.IGNORECASE
)
IN_NAMES = re.compile(
    r"(?:^|_)(told|asked|wanted|nobody|somebody|whoever|put_back|put_off|give_up|call_off|take_in|come_in|keep_out"
    r"|set_on|looked_in_vain|let_go|hold_(?:lead|leads|user|account|workspace|draft|import|mailbox|reply|list|sequence))"
    r"(?:_|$)"
)
TEXTS = (".md", ".sql", ".yml", ".toml")
FREE = ("tests/", "docs/", "dbt_project/target")
"""Folders that are listed and not yet held to the rules."""


@dataclass(frozen=True, slots=True)
class Banned:
    """A banned word and where it stands."""

    path: str
    line: int
    word: str


def banned() -> Iterator[Banned]:
    """Yield every banned word of the repository."""
    for path in files():
        if path.startswith("tests/architecture/words"):
            continue
        if path.endswith(".py"):
            yield from banned_in_python(path, (ROOT / path).read_text(encoding="utf-8"))
        elif path.endswith(TEXTS):
            yield from banned_in_text(path, (ROOT / path).read_text(encoding="utf-8"))


def banned_in_python(path: str, text: str) -> Iterator[Banned]:
    """Yield the banned words in the names, strings and comments of a Python file."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and (match := IN_NAMES.search(token.string.lower())):
            yield Banned(path, token.start[0], match[1])
        elif token.type in {tokenize.STRING, tokenize.COMMENT}:
            for match in IN_SENTENCES.finditer(token.string):
                yield Banned(path, token.start[0] + token.string.count("\n", 0, match.start()), match[1].lower())


def banned_in_text(path: str, text: str) -> Iterator[Banned]:
    """Yield the banned words of a text file."""
    for match in IN_SENTENCES.finditer(text):
        yield Banned(path, text.count("\n", 0, match.start()) + 1, match[1].lower())


if __name__ == "__main__":
    for word in banned():
        print(f"{word.path}:{word.line}: {word.word}")  # noqa: T201 - this is the program's output
