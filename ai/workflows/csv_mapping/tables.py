"""Reads the tables of words in `words/*.toml`."""

import tomllib
from importlib.resources import files
from typing import Any


def read_table(name: str) -> dict[str, Any]:
    """Return one of the tables; modules read theirs once, when they are imported."""
    file = files("ai.workflows.csv_mapping") / "words" / f"{name}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
