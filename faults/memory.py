"""Plants a fault in modules that are already imported, so that a fork of a warm interpreter imports nothing."""

import ast
import sys
from types import CodeType, FunctionType, ModuleType
from typing import Any

FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def plant(path: str, original: str, faulty: str) -> bool:
    """Apply the one change between two sources of a file to its imported module; False if that is not possible.

    It can be done in the body of a function, and in a constant that no other module has imported.
    """
    module = sys.modules.get(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    if module is None:
        return False
    before, after = ast.parse(original), ast.parse(faulty)
    changed = _changed(before.body, after.body)
    if changed is None:
        return False
    old, new = changed
    if isinstance(new, ast.Assign):
        return _rebind(module, after, new)
    if getattr(new, "name", "") in _run_at_import(after):
        return False
    return _replace_code(module.__dict__, old, new, compile(after, str(module.__file__), "exec"))


def _changed(before: list[ast.stmt], after: list[ast.stmt]) -> tuple[ast.stmt, ast.stmt] | None:
    """Return the only statement that differs, if its name is defined once: a setter has the name of its property."""
    if len(before) != len(after):
        return None
    changed = [(old, new) for old, new in zip(before, after, strict=True) if ast.dump(old) != ast.dump(new)]
    names = [getattr(node, "name", None) for node in after]
    if len(changed) != 1 or names.count(getattr(changed[0][1], "name", "")) > 1:
        return None
    return changed[0]


def _run_at_import(module: ast.Module) -> set[str]:
    """Return the functions and classes that a module calls during its import, also through its other functions."""
    definitions = {node.name: node for node in module.body if isinstance(node, FUNCTION | ast.ClassDef)}
    names: set[str] = set()
    for node in module.body:
        names |= _called_at_import(node)
    reached: set[str] = set()
    while new := names & definitions.keys() - reached:
        reached |= new
        names = {part.id for name in new for part in ast.walk(definitions[name]) if isinstance(part, ast.Name)}
    return reached


def _called_at_import(node: ast.AST) -> set[str]:
    """Return the names in the calls and decorators that a statement runs; the body of a function runs later."""
    if isinstance(node, FUNCTION | ast.ClassDef):
        names = {
            part.id for decorator in node.decorator_list for part in ast.walk(decorator) if isinstance(part, ast.Name)
        }
    elif isinstance(node, ast.Call):
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    else:
        names = set()
    if isinstance(node, FUNCTION):
        defaults = [default for default in (*node.args.defaults, *node.args.kw_defaults) if default]
        return names.union(*map(_called_at_import, defaults))
    return names.union(*map(_called_at_import, ast.iter_child_nodes(node)))


def _rebind(module: ModuleType, tree: ast.Module, changed: ast.Assign) -> bool:
    """Evaluate an assignment again, and all later ones that use its names."""
    names = _targets(changed)
    again: list[ast.stmt] = [changed]
    for node in tree.body[tree.body.index(changed) + 1 :]:
        used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        if used & names and isinstance(node, ast.Assign):
            again.append(node)
            names |= _targets(node)
        elif names & (_evaluated_early(node) if isinstance(node, FUNCTION) else used):
            return False
    if not names or _is_imported(module, names):
        return False
    code = compile(ast.Module(again, []), str(module.__file__), "exec")
    exec(code, module.__dict__)  # noqa: S102 - the module's own statements
    return True


def _targets(node: ast.Assign) -> set[str]:
    return {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)}


def _evaluated_early(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the names that a definition itself reads: decorators and defaults."""
    early = [*node.decorator_list, *node.args.defaults, *(default for default in node.args.kw_defaults if default)]
    return {part.id for expression in early for part in ast.walk(expression) if isinstance(part, ast.Name)}


def _is_imported(module: ModuleType, names: set[str]) -> bool:
    values = {id(module.__dict__[name]) for name in names if name in module.__dict__}
    others = [other for other in list(sys.modules.values()) if other is not module and isinstance(other, ModuleType)]
    # Small numbers and words are the same objects everywhere, so those count only under the same name.
    return any(
        id(value) in values and (name in names or not isinstance(value, str | int | None))
        for other in others
        for name, value in list(other.__dict__.items())
    )


def _replace_code(namespace: object, old: ast.stmt, new: ast.stmt, code: CodeType) -> bool:
    """Replace the code of the changed function or method by its code in the faulty module."""
    inner = next((c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == getattr(new, "name", "")), None)
    if inner is None:
        return False
    if isinstance(old, ast.ClassDef) and isinstance(new, ast.ClassDef):
        changed = _changed(old.body, new.body)
        cls = namespace[old.name] if isinstance(namespace, dict) else getattr(namespace, old.name)
        return changed is not None and _replace_code(cls, *changed, inner)
    if not (isinstance(old, FUNCTION) and isinstance(new, FUNCTION) and _signature(old) == _signature(new)):
        return False
    function = _plain_function(namespace[old.name] if isinstance(namespace, dict) else vars(namespace)[old.name])
    if function is None or len(function.__code__.co_freevars) != len(inner.co_freevars):
        return False
    function.__code__ = inner
    return True


def _signature(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [ast.dump(part) for part in (function.args, *function.decorator_list)]


def _plain_function(value: Any) -> FunctionType | None:
    """Return the function inside a property, a class method and decorators."""
    value = getattr(value, "fget", None) or getattr(value, "__func__", value)
    while hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    return value if isinstance(value, FunctionType) else None
