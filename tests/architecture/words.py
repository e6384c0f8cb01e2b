"""Lists the words that the rules of plain language ban, file by file: `python -m tests.architecture.words`."""

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

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
DATA = (
    "ai/workflows/*/prompts/*.md",
    "ai/workflows/intent_classification/wording.py",
    "database/embedded_binaries.py",
    "email_text/quotes.py",
    "tests/ai/workflows/test_intent_classification.py",
    "tests/api/inbox/mailbox/dovecot.py",
    "tests/api/jobs/pooler.py",
    "tests/architecture/test_words.py",
    "tests/architecture/words.py",
    "tests/database/embedded/test_data_location.py",
    "tests/evals/*.toml",
)
"""Files in which these words are data: phrases that people write, prompts, and the Unix user `nobody`."""
CATALOGUE = "tests/database/catalogue.txt"
MIGRATIONS = "database/migrations/*"
"""Migrations are append-only and keep the names of their time; the catalogue has the present names of the schema."""
PHRASES = "ai/workflows/*/words/*.toml"
"""Tables of phrases that people write; only their comments are checked."""


@dataclass(frozen=True, slots=True)
class Banned:
    """A banned word and where it stands."""

    path: str
    line: int
    word: str


def banned() -> Iterator[Banned]:
    """Yield every banned word of the repository."""
    for path in files():
        if not _is_in(path, DATA):
            is_text = path.endswith((".py", *TEXTS, CATALOGUE))
            yield from banned_in(path, (ROOT / path).read_text(encoding="utf-8") if is_text else "")


def banned_in(path: str, text: str) -> Iterator[Banned]:
    """Yield the banned words of a file."""
    if path.endswith(".py"):
        yield from _banned_in_python(path, text)
    elif fnmatch(path, PHRASES):
        yield from _banned_in_text(path, re.sub(r"^[^#\n].*", "", text, flags=re.MULTILINE))
    elif path == CATALOGUE:
        yield from _banned_in_names(path, text)
    elif path.endswith(TEXTS):
        yield from _banned_in_text(path, text)
        if path.endswith(".sql") and not fnmatch(path, MIGRATIONS):
            yield from _banned_in_names(path, re.sub("--.*", "", text))


def _banned_in_python(path: str, text: str) -> Iterator[Banned]:
    """Yield the banned words in the names, strings and comments of a Python file."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and (match := IN_NAMES.search(token.string.lower())):
            yield Banned(path, token.start[0], match[1])
        elif token.type in {tokenize.STRING, tokenize.COMMENT}:
            for match in IN_SENTENCES.finditer(token.string):
                yield Banned(path, token.start[0] + token.string.count("\n", 0, match.start()), match[1].lower())


def _banned_in_text(path: str, text: str) -> Iterator[Banned]:
    """Yield the banned words of a text file."""
    for match in IN_SENTENCES.finditer(text):
        yield Banned(path, text.count("\n", 0, match.start()) + 1, match[1].lower())


def _banned_in_names(path: str, text: str) -> Iterator[Banned]:
    """Yield the banned words in the names of SQL."""
    for name in re.finditer(r"\w+", text):
        if match := IN_NAMES.search(name[0].lower()):
            yield Banned(path, text.count("\n", 0, name.start()) + 1, match[1])


def _is_in(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


if __name__ == "__main__":
    for word in banned():
        print(f"{word.path}:{word.line}: {word.word}")  # noqa: T201 - this is the program's output
