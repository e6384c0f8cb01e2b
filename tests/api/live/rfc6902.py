"""JSON Patch, implemented from RFC 6902 only, so that other code than the service's checks its patches."""

import copy
from typing import Any

Operations = list[dict[str, Any]]


def patched(document: Any, operations: Operations) -> Any:
    """Return the document after the operations; fails where RFC 6902 requires an error."""
    root = {"": copy.deepcopy(document)}
    for one in operations:
        *holder, last = _parts(one["path"])
        match one["op"]:
            case "add":
                _add(_at(root, holder), last, one["value"])
            case "remove":
                _take(_at(root, holder), last)
            case "replace":
                _take(_at(root, holder), last)
                _add(_at(root, holder), last, one["value"])
            case "move":
                *from_holder, from_last = _parts(one["from"])
                value = _take(_at(root, from_holder), from_last)
                _add(_at(root, holder), last, value)
            case other:
                raise AssertionError(f"unexpected operation {other}")
    return root[""]


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]


def _at(value: Any, parts: list[str]) -> Any:
    for part in parts:
        value = value[_index(part, len(value) - 1)] if isinstance(value, list) else value[part]
    return value


def _add(holder: Any, part: str, value: Any) -> None:
    if isinstance(holder, list):
        holder.insert(_index(part, len(holder)), copy.deepcopy(value))
    else:
        holder[part] = copy.deepcopy(value)


def _take(holder: Any, part: str) -> Any:
    return holder.pop(_index(part, len(holder) - 1) if isinstance(holder, list) else part)


def _index(part: str, last: int) -> int:
    assert part == str(int(part)), f"{part} is no index"
    assert 0 <= int(part) <= last, f"{part} is outside the array"
    return int(part)
