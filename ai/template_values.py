"""Values in templates: a blank variable is false in conditions, takes a `default`, and cannot be printed."""

from typing import Any, NoReturn

from liquid import Token, Undefined
from liquid.exceptions import UndefinedError

from ai.cleaning import custom_key


class _Nothing(str):
    """A blank variable in a condition: false, and equal to nil, blank, empty and the empty string."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other is None or other == "" or isinstance(other, _Nothing)

    def __hash__(self) -> int:
        return hash("")


# Conditions treat only nil and "undefined" as false, and compare only text with `blank`.
Undefined.register(_Nothing)
_NOTHING = _Nothing()


class BlankVariable:
    """A variable without a value, which replaces Liquid's undefined type; printing it is an error with its name."""

    __slots__ = ("name", "token")
    force_liquid_default = True

    def __init__(self, name: str, *, token: Token | None = None, obj: object = None, hint: str | None = None) -> None:
        del obj, hint  # the engine passes them for messages; ours need only the name
        self.name = name
        self.token = token

    def __liquid__(self) -> object:
        return _NOTHING

    def __str__(self) -> str:  # noqa: PLE0307 - never returns
        self._raise_undefined()

    def __int__(self) -> int:
        self._raise_undefined()

    def __html__(self) -> str:
        self._raise_undefined()

    def __iter__(self) -> NoReturn:
        self._raise_undefined()

    def _raise_undefined(self) -> NoReturn:
        raise UndefinedError(self.name, token=self.token)


class Namespace(dict[str, Any]):
    """The values of a dotted name, such as `custom.city`; a field's title in brackets works too."""

    def __init__(self, name: str, values: dict[str, object]) -> None:
        super().__init__(values)
        self.name = name

    def __missing__(self, key: object) -> object:
        name = custom_key(str(key))
        return self[name] if name != key and name in self else BlankVariable(f"{self.name}.{name}")

    def __str__(self) -> str:
        raise ValueError(f"{self.name} is a group of fields; use one of them, such as {self.name}.name")
