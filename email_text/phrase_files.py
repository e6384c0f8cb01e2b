"""Reads the regular expressions in `phrases/*.toml`."""

import re
import tomllib
from importlib.resources import files


def compile_phrases(file: str, name: str, *, end: str = "") -> re.Pattern[str]:
    """Return the pattern that matches any expression in a list of a file, in any case, before `end`."""
    text = (files("email_text") / "phrases" / f"{file}.toml").read_text(encoding="utf-8")
    expressions = tomllib.loads(text)[name]
    return re.compile(f"(?:{'|'.join(f'(?:{expression})' for expression in expressions)}){end}", re.IGNORECASE)
