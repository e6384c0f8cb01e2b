"""Lists every error sentence of the product, from the code itself: `python -m tests.architecture.sentences`."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tests.architecture.tree import PACKAGES, Source, sources

MESSAGES = {"message", "detail", "reason", "error"}
"""The keyword arguments whose text a user reads."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text that an error shows, with `{}` where a value stands, and where it is written."""

    path: str
    line: int
    text: str


def sentences() -> Iterator[Sentence]:
    """Yield the texts of all errors, file by file."""
    for source in sources(*PACKAGES):
        yield from sentences_of(source)


def sentences_of(source: Source) -> Iterator[Sentence]:
    """Yield the texts that a file raises, gives to `or_404`, or passes as a message."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            texts = node.exc.args
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "or_404":
            texts = node.args[1:]
        elif isinstance(node, ast.Call):
            texts = [keyword.value for keyword in node.keywords if keyword.arg in MESSAGES]
        elif isinstance(node, ast.Dict):
            texts = [
                value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and key.value in MESSAGES
            ]
        else:
            continue
        for text in texts:
            if " " in (words := text_of(text)):
                yield Sentence(source.path, text.lineno, words)


def text_of(node: ast.expr) -> str:
    """Return the text of a string or an f-string, with `{}` for its values; nothing for any other expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return ""


if __name__ == "__main__":
    for sentence in sorted(set(sentences()), key=lambda sentence: (sentence.path, sentence.line)):
        print(f"{sentence.path}:{sentence.line}: {sentence.text}")  # noqa: T201 - this is the program's output
