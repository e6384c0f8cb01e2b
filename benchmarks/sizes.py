"""The sizes in which a benchmark can run."""

from typing import Literal, TypeAlias

Size: TypeAlias = Literal["small", "full"]
"""`small` ends within a minute, with its setup; the targets are for `full`."""
