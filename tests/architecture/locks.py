"""Lists every lock that the code takes, from the code itself: `python -m tests.architecture.locks`."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests import ROOT
from tests.architecture.tree import Source, sources

PACKAGES = ("ai", "api", "database", "everlytic", "orchestration", "salesmatter")
MIGRATIONS = "database/migrations/"

# What follows in a policy is no lock.
ROW_LOCK = re.compile(
    r"\bFOR\s+(?P<mode>NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b(?!\s+(?:TO|USING|WITH)\b)", re.IGNORECASE
)
SKIPS = re.compile(r"(?:\s+OF\s+[\w., ]+?)?\s+SKIP\s+LOCKED\b", re.IGNORECASE)
ADVISORY_LOCK = re.compile(r"\bpg_(?:try_)?advisory_(?!unlock)\w+")
TABLE_LOCK = re.compile(r"\bLOCK\s+TABLE\b")
STATEMENT = re.compile(r"\bSELECT\b", re.IGNORECASE)
FUNCTION = re.compile(
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?FUNCTION\s+(?P<name>[\w.]+).*?\$\$(?P<body>.*?)\$\$", re.IGNORECASE | re.DOTALL
)
DROPPED = re.compile(r"\bDROP\s+FUNCTION\s+(?P<name>[\w.]+)", re.IGNORECASE)
FILE_LOCKS = {"flock", "lockf"}


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock: the module and the function or constant that takes it, and what it is, such as `FOR SHARE`."""

    place: str
    kind: str


def locks() -> dict[str, str]:
    """Return the kind of every lock by its id: its place, with a number where one place takes several."""
    places: dict[str, list[str]] = defaultdict(list)
    for source in sources(*PACKAGES):
        if not source.path.startswith(MIGRATIONS):
            for lock in locks_in(source):
                places[lock.place].append(lock.kind)
    places |= _database_functions()
    for path, text in _sql_files(*PACKAGES):
        # The statements in `sql/` count where they are loaded.
        if not path.startswith(MIGRATIONS) and "/sql/" not in path and (kinds := kinds_in(text)):
            places[path] = kinds
    return {
        place if len(kinds) == 1 else f"{place}:{number}": kind
        for place, kinds in sorted(places.items())
        for number, kind in enumerate(kinds, start=1)
    }


def locks_in(source: Source) -> Iterator[Lock]:
    """Return the locks of one file, in the order of its text."""
    for name, statement in _named_statements(source.tree):
        for node in _in_order(statement):
            for kind in _kinds_of(node):
                yield Lock(f"{source.module}:{name}", kind)


def kinds_in(text: str) -> list[str]:
    """Return what the locks of a text are; small letters count in a whole statement only, not in a sentence."""
    is_statement = STATEMENT.search(text) is not None
    matches = [
        *(
            (match.start(), _row_lock(match, text))
            for match in ROW_LOCK.finditer(text)
            if is_statement or match[0].isupper()
        ),
        *((match.start(), match[0]) for match in ADVISORY_LOCK.finditer(text)),
        *((match.start(), "LOCK TABLE") for match in TABLE_LOCK.finditer(text)),
    ]
    return [kind for _, kind in sorted(matches)]


def _row_lock(match: re.Match[str], sql: str) -> str:
    mode = " ".join(match["mode"].upper().split())
    return f"FOR {mode}{' SKIP LOCKED' if SKIPS.match(sql, match.end()) else ''}"


def _database_functions() -> dict[str, list[str]]:
    """Return the locks of the functions of the database by their names; the last migration that makes one counts.

    A function that an SQL file drops is left out. Revisions drop functions in their downgrades, which do not count.
    """
    bodies: dict[str, str] = {}
    for _, text in _sql_files(MIGRATIONS):
        for dropped in DROPPED.finditer(text):
            bodies.pop(dropped["name"], None)
        bodies |= {made["name"]: made["body"] for made in FUNCTION.finditer(text)}
    revisions = (_text_of(node) for source in sources(MIGRATIONS) for node in ast.walk(source.tree))
    bodies |= {made["name"]: made["body"] for text in revisions if text for made in FUNCTION.finditer(text)}
    return {f"{MIGRATIONS.strip('/')}:{name}": kinds for name, body in bodies.items() if (kinds := kinds_in(body))}


def _sql_files(*folders: str) -> list[tuple[str, str]]:
    """Return the path and the text of every SQL file under the folders."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.sql"))
    return [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def _named_statements(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Return the parts of a module by what they are called: constants, functions, and methods behind their class."""
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, statement
            case ast.ClassDef(name=name):
                for part in statement.body:
                    inner = getattr(part, "name", None)
                    yield f"{name}.{inner}" if inner else name, part
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name, statement
            case _:
                yield "<module>", statement


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """Return a node and those below it in the order of the text, without docstrings."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    yield node
    # A text in several parts is read as one.
    if not isinstance(node, ast.JoinedStr):
        for child in ast.iter_child_nodes(node):
            yield from _in_order(child)


def _text_of(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text_of(value) or "{}" for value in values)
    return None


def _kinds_of(node: ast.AST) -> list[str]:
    if (text := _text_of(node)) is not None:
        return kinds_in(text)
    match node:
        case ast.Call(func=ast.Attribute(attr="with_for_update"), keywords=keywords):
            return [_mode_of(keywords)]
        case ast.keyword(arg="with_for_update"):
            return ["FOR UPDATE"]
        case ast.Call(func=ast.Attribute(attr=name), args=args) if name in FILE_LOCKS:
            return [] if "LOCK_UN" in ast.unparse(args[1]) else [ast.unparse(args[1]).replace("fcntl.", "")]
        case ast.Attribute(attr=name) if ADVISORY_LOCK.match(name):
            return [name]
    return []


def _mode_of(keywords: list[ast.keyword]) -> str:
    """Return what a call of `with_for_update` locks; an argument that is worked out counts by its own words."""
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in keywords if keyword.arg}
    if given.keys() & {"read", "key_share"} and {given.get("read", "False"), given.get("key_share", "False")} - {
        "True",
        "False",
    }:
        return "FOR " + ", ".join(f"{name}={value}" for name, value in given.items())
    modes = {
        (False, False): "UPDATE",
        (False, True): "NO KEY UPDATE",
        (True, False): "SHARE",
        (True, True): "KEY SHARE",
    }
    mode = modes[given.get("read") == "True", given.get("key_share") == "True"]
    return f"FOR {mode}{' SKIP LOCKED' if given.get('skip_locked') == 'True' else ''}"


def main() -> None:
    """Print every lock, one a line."""
    listed = locks()
    width = max(map(len, listed))
    print("\n".join(f"{name:{width}}  {kind}" for name, kind in listed.items()))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
