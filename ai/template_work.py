"""Counts the work of rendering a template, so that no template takes more than a fixed amount.

A unit of work is one node that is rendered, or a hundred characters or elements that a variable or a filter handles.
The time of a unit is bounded, because everything that a template can make the engine do is counted:

- each node, before it is rendered (the engine asks for `disabled_tags`),
- each value that an expression reads, by its size, so comparisons and `contains` are paid by their operands,
- each filter, by the sizes of its input, its arguments and its result,
- each assignment, by the number of variables, whose sizes the engine adds up,
- each loop, by the length of what it iterates over, also of what an offset skips.
"""

from collections.abc import Iterable, Sized

from liquid import BoundTemplate, RenderContext
from liquid.ast import BlockNode
from liquid.builtin.expressions import LoopExpression
from liquid.builtin.tags.for_tag import ForNode, ForTag
from liquid.expression import Expression
from liquid.token import Token

MAX_WORK = 30_000
"""The units of one rendering, or of all renderings of one preview."""
SIZE_PER_UNIT = 100
VARIABLES_PER_UNIT = 10
MAX_RANGE = 1_000


class WorkExceeded(Exception):
    """The template needs more work than allowed."""


class Work:
    """The work that is left; renderings may share it."""

    def __init__(self, units: int = MAX_WORK) -> None:
        self._left = units

    def charge(self, units: int) -> None:
        """Use units; raises WorkExceeded if fewer are left."""
        self._left -= units
        if self._left < 0:
            raise WorkExceeded

    def charge_values(self, *values: object) -> None:
        """Use one unit, and more by the sizes of values."""
        self.charge(1 + sum(_measure(value) for value in values) // SIZE_PER_UNIT)


def _measure(value: object) -> int:
    return len(value) if isinstance(value, Sized) else 1


class CountingContext(RenderContext):
    """The state of one rendering, which counts its work."""

    def __init__(self, template: BoundTemplate, work: Work, **options: object) -> None:
        self.work = work
        super().__init__(template, **options)  # type: ignore[arg-type] # they are passed on

    @property
    def disabled_tags(self) -> list[str]:
        """The tags that may not be used; the engine reads it before it renders a node."""
        self.work.charge(1)
        return []

    @disabled_tags.setter
    def disabled_tags(self, value: list[str]) -> None:
        del value

    def get(self, path: list[object], **options: object) -> object:
        """Return the value of a variable."""
        value = super().get(path, **options)  # type: ignore[arg-type] # as above
        self.work.charge_values(value)
        return value

    def assign(self, key: str, val: object) -> None:
        """Set a variable."""
        self.work.charge(1 + len(self.locals) // VARIABLES_PER_UNIT)
        super().assign(key, val)


class _BoundedIterable(Expression):
    """What a loop iterates over, with a limit on ranges, because a loop may skip to any place of them."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Expression) -> None:
        super().__init__(inner.token)
        self._inner = inner

    def __str__(self) -> str:
        return str(self._inner)

    def evaluate(self, context: RenderContext) -> object:
        value = self._inner.evaluate(context)
        # A range of more elements than an index may have has no length.
        if isinstance(value, range) and bool(value) and value[-1] - value[0] >= MAX_RANGE:
            raise WorkExceeded
        assert isinstance(context, CountingContext)
        context.work.charge_values(value)
        return value

    def children(self) -> Iterable[Expression]:
        return [self._inner]


class _BoundedForNode(ForNode):
    __slots__ = ()

    def __init__(
        self, token: Token, expression: LoopExpression, block: BlockNode, default: BlockNode | None = None
    ) -> None:
        expression.iterable = _BoundedIterable(expression.iterable)
        super().__init__(token, expression, block, default)


class BoundedForTag(ForTag):
    """The tag `for` with a limit on ranges."""

    node_class = _BoundedForNode
