"""How a template sees values: what is blank is falsy, takes a `default`, and cannot be printed."""

from typing import Any, NoReturn

from liquid import Token, Undefined
from liquid.exceptions import UndefinedError

from ai.cleaning import custom_key


class _Nothing(str):
    """What a blank variable is in a condition: false, and equal to nil, blank, empty and the empty string alike."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other is None or other == "" or isinstance(other, _Nothing)

    def __hash__(self) -> int:
        return hash("")


# Conditions count a value as false only if it is nil or "undefined", and compare it with `blank` only if it is text.
Undefined.register(_Nothing)
_NOTHING = _Nothing()


class BlankVariable:
    """A variable without a value, in place of Liquid's own undefined type; printing it is an error that names it."""

    __slots__ = ("name", "token")
    force_liquid_default = True

    def __init__(self, name: str, *, token: Token | None = None, obj: object = None, hint: str | None = None) -> None:
        del obj, hint  # the engine offers them for messages; ours need the name alone
        self.name = name
        self.token = token

    def __liquid__(self) -> object:
        return _NOTHING

    def __str__(self) -> str:  # noqa: PLE0307 - it never returns
        self._refuse()

    def __int__(self) -> int:
        self._refuse()

    def __html__(self) -> str:
        self._refuse()

    def __iter__(self) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UndefinedError(self.name, token=self.token)


class Namespace(dict[str, Any]):
    """The values behind a dotted name, such as `custom.city`; also found by the field's own title in brackets."""

    def __init__(self, name: str, values: dict[str, object]) -> None:
        super().__init__(values)
        self.name = name

    def __missing__(self, key: object) -> object:
        by_title = custom_key(str(key))
        return self[by_title] if by_title != key and by_title in self else BlankVariable(f"{self.name}.{by_title}")

    def __str__(self) -> str:
        raise ValueError(f"{self.name} is a group of fields; name one of them, such as {self.name}.name")
