"""Renders Liquid templates of steps in a sandbox; printing a blank variable is an error."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sized
from functools import cache, lru_cache, wraps
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ai.cleaning import custom_key, one_line, remove_control_characters
from ai.errors import TemplateError
from email_text.html_tags import scan_tags

if TYPE_CHECKING:
    from liquid import BoundTemplate, Environment, Undefined

    from ai.template_work import CountingContext, Work

__all__ = [
    "VARIABLES",
    "TemplateError",
    "build_lead_variables",
    "check_template",
    "custom_key",
    "find_tags",
    "find_variables",
    "is_html",
    "render",
]

VARIABLES = frozenset({
    "first_name",
    "last_name",
    "full_name",
    "email",
    "company",
    "role",
    "segment",
    "unsubscribe_url",
    "sender.name",
    "sender.email",
    "workspace.name",
})  # fmt: skip
MAX_TEMPLATE_CHARACTERS = 50_000
MAX_OUTPUT_BYTES = 200_000
MAX_LOOP_ITERATIONS = 1_000
MAX_LOCAL_BYTES = 200_000
CACHE_SIZE = 1_024
RENDERING_UNITS = 100
"""The units of work that any rendering takes."""
MAX_TAG_CHARACTERS = 2_000
MAX_SPACES = 100
MAX_OPERATORS = 50
"""The maximum number of operators and brackets in a tag, because the engine recurses for each."""
MAX_DIGITS = 300
"""The maximum number of digits of a number: Python's limit for printing integers depends on its settings."""

# The filters that emails need. Excluded on purpose: `safe` and the decoders (would undo escaping), `date` (reads the
# clock), and all filters on arrays of objects.
FILTERS = frozenset({
    "append", "capitalize", "default", "divided_by", "downcase", "escape", "first", "join", "last", "lstrip", "minus",
    "newline_to_br", "plus", "prepend", "remove", "replace", "round", "rstrip", "size", "slice", "split", "squish",
    "strip", "strip_html", "strip_newlines", "times", "truncate", "truncatewords", "upcase", "url_encode",
})  # fmt: skip
NUMBER_FILTERS = frozenset({"divided_by", "minus", "plus", "round", "times"})
LENGTH_FILTERS = frozenset({"slice", "truncate", "truncatewords"})
TAGS = frozenset({
    "content", "output", "illegal", "assign", "capture", "case", "comment", "if", "unless", "for", "break", "continue",
    "echo", "#",
})  # fmt: skip

_HTML = re.compile(
    r"<(?:p|br|div|span|a|b|i|em|strong|ul|ol|li|table|tr|td|h[1-6]|img|body|html)\b[^<>]*>", re.IGNORECASE
)
_OPENING = re.compile(r"\{[{%]")
_MANY_SPACES = re.compile(rf"(?<!\s)\s{{{MAX_SPACES + 1}}}")
_VERBATIM = re.compile(r"-?\s*(raw|doc)\s*-?")
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_OPERATOR = re.compile(r"\b(?:and|or|not|contains)\b|[\[(]|[!=<>]{1,2}")
_LONG_NUMBER = re.compile(rf"(?<!\d)\d{{{MAX_DIGITS + 1}}}")
_LOOP = re.compile(r"-?\s*for\s")
_FIELDS = ("first_name", "last_name", "full_name", "email", "company", "role", "segment")


def render(template: str, variables: Mapping[str, object], *, html: bool = False, work: "Work | None" = None) -> str:
    """Return the rendered template; with `html` all values are escaped, and the markup of the template is not.

    `variables` is nested: {"first_name": "Ada", "custom": {"city": "Berlin"}, "sender": {"name": "Kim"}}. Liquid inside
    values is printed, never evaluated. Raises TemplateError when a blank or unknown variable would be printed without a
    `default`, on invalid syntax, and at the limits of the sandbox. `work` is what is left for several renderings.
    """
    from liquid.output import LimitedStringIO  # noqa: PLC0415 - as for the environment

    from ai.template_work import CountingContext, Work  # noqa: PLC0415 - as above

    parsed, buffer, work = _parse(template, html), LimitedStringIO(MAX_OUTPUT_BYTES), work or Work()
    try:
        work.charge(RENDERING_UNITS)
        scope = parsed.make_globals(_build_namespaces(variables))
        parsed.render_with_context(CountingContext(parsed, work, globals=scope), buffer)
        output = buffer.getvalue()
        work.charge_values(output)
    except Exception as error:  # noqa: BLE001 - filters get arbitrary values and also raise Python errors
        _raise_template_error(error)
    return output


def find_variables(template: str) -> set[str]:
    """Return the variables of a template, such as `first_name` or `custom.deal_stage`; may raise TemplateError."""
    return set(_find_variables(template))


def check_template(template: str, custom_names: Collection[str] | None = None) -> list[str]:
    """Return a sentence for each problem of a template.

    `custom_names` are the existing custom fields; None accepts any.
    """
    try:
        names = _find_variables(template)
    except TemplateError as error:
        return [error.message]
    known = None if custom_names is None else {custom_key(name) for name in custom_names}
    return [
        f"The variable {name} does not exist. Use one of {', '.join(sorted(VARIABLES))} or custom.<field>."
        for name in sorted(names)
        if not _is_known(name, known)
    ]


def is_html(template: str) -> bool:
    """Return whether a body template is HTML and not plain text."""
    return _HTML.search(template) is not None


def build_lead_variables(
    lead: Mapping[str, object],
    custom_fields: Mapping[str, object],
    *,
    sender_name: str = "",
    sender_email: str = "",
    workspace_name: str = "",
    unsubscribe_url: str = "",
) -> dict[str, object]:
    """Return the variables for `render`.

    `lead` has first_name, last_name, email, company, role and segment; full_name defaults to the first two.
    """
    values: dict[str, object] = {name: one_line(str(lead.get(name) or "")) for name in _FIELDS}
    values["full_name"] = values["full_name"] or f"{values['first_name']} {values['last_name']}".strip()
    values["custom"] = {
        name: remove_control_characters(str(value)) for name, value in custom_fields.items() if value is not None
    }
    values["unsubscribe_url"] = one_line(unsubscribe_url)
    values["sender"] = {"name": one_line(sender_name), "email": one_line(sender_email)}
    values["workspace"] = {"name": one_line(workspace_name)}
    return values


def _is_known(name: str, custom: set[str] | None) -> bool:
    if name.startswith("custom."):
        return custom is None or name.removeprefix("custom.") in custom
    return name in VARIABLES


@lru_cache(maxsize=CACHE_SIZE)
def _find_variables(template: str) -> frozenset[str]:
    names: set[str] = set()
    analysis = _parse(template, False).analyze()
    if unknown := sorted(set(analysis.filters) - FILTERS):
        raise TemplateError(f"The filter {unknown[0]} does not exist. Use one of {', '.join(sorted(FILTERS))}.")
    for variables in analysis.globals.values():
        for variable in variables:
            root, *rest = [str(segment) for segment in variable.segments]
            names.add(f"custom.{custom_key(rest[0])}" if root == "custom" and rest else ".".join([root, *rest[:1]]))
    return frozenset(names)


@lru_cache(maxsize=CACHE_SIZE)
def _parse(template: str, html: bool) -> "BoundTemplate":
    if len(template) > MAX_TEMPLATE_CHARACTERS:
        raise TemplateError(f"The template is longer than {MAX_TEMPLATE_CHARACTERS} characters. Shorten it.")
    for _, tag in find_tags(template):
        expression = _STRING.sub("", tag)
        if sum(1 for _ in _OPERATOR.finditer(expression)) > MAX_OPERATORS:
            raise TemplateError(f"A tag of the template has more than {MAX_OPERATORS} operators. Split its condition.")
        if _LONG_NUMBER.search(expression):
            raise TemplateError(f"A number in the template has more than {MAX_DIGITS} digits.")
        # Elsewhere a range of any length could be searched for a text, which takes as long as it is.
        if ".." in expression and not _LOOP.match(expression):
            raise TemplateError("A range such as (1..5) can only be used in a for tag.")
    try:
        return _create_environment(html).from_string(template)
    except Exception as error:  # noqa: BLE001 - the parser also raises Python errors
        _raise_template_error(error)


def find_tags(template: str) -> Iterator[tuple[int, str]]:
    """Yield where the content of each tag begins, and the content.

    Raises TemplateError for a tag that is not closed or too long.
    The engine itself needs quadratic time to find the end of a tag.
    """
    position = 0
    while opening := _OPENING.search(template, position):
        start = opening.end()
        position = template.find("}}" if opening[0] == "{{" else "%}", start)
        if position < 0:
            raise _unclosed_tag_error(start)
        if position - start > MAX_TAG_CHARACTERS:
            raise TemplateError(f"A tag of the template is longer than {MAX_TAG_CHARACTERS} characters. Shorten it.")
        tag = template[start:position]
        if _MANY_SPACES.search(tag):
            raise TemplateError(f"A tag of the template has more than {MAX_SPACES} spaces in a row.")
        if opening[0] == "{%" and (verbatim := _VERBATIM.fullmatch(tag)):
            end = re.compile(rf"\{{%-?\s*end{verbatim[1]}\s*-?%\}}").search(template, position)
            position = end.end() if end else -1
        if position < 0:
            raise _unclosed_tag_error(start)
        yield start, tag


def _unclosed_tag_error(start: int) -> TemplateError:
    return TemplateError(f"The template is not valid Liquid at character {start - 1}: the tag is not closed.")


@cache
def _create_environment(html: bool) -> "Environment":
    # Imported here, because most importers of this module do not render.
    from liquid import Environment  # noqa: PLC0415

    from ai.template_values import BlankVariable  # noqa: PLC0415
    from ai.template_work import BoundedForTag  # noqa: PLC0415

    class Sandbox(Environment):
        loop_iteration_limit = MAX_LOOP_ITERATIONS
        local_namespace_limit = MAX_LOCAL_BYTES
        output_stream_limit = MAX_OUTPUT_BYTES

    environment = Sandbox(undefined=cast("type[Undefined]", BlankVariable), autoescape=html)
    environment.tags = {name: tag for name, tag in environment.tags.items() if name in TAGS}
    environment.add_tag(BoundedForTag)
    environment.add_filter("strip_html", _strip_tags)
    environment.filters = {name: _guard_filter(name, environment.filters[name]) for name in FILTERS}
    return environment


def _guard_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Pass a blank value through all filters up to `default`, count the work and limit the result of a filter."""
    from ai.template_values import BlankVariable  # noqa: PLC0415

    @wraps(function)
    def filtered(left: object, *arguments: object, context: "CountingContext", **options: object) -> object:
        context.work.charge_values(left, *arguments, *options.values())
        if name != "default" and isinstance(left, BlankVariable):
            return left
        _check_growth(name, left, arguments)
        _check_numbers(name, left, arguments)
        result = function(left, *arguments, **options)
        if isinstance(result, int):
            _check_numbers(name, result, ())
        if isinstance(result, str) and len(result) > MAX_OUTPUT_BYTES:
            raise ValueError(f"the result of the filter {name} is too long")
        context.work.charge_values(result)
        return result

    filtered.with_context = True  # type: ignore[attr-defined] # the engine then passes the context
    return filtered


def _check_growth(name: str, left: object, arguments: tuple[object, ...]) -> None:
    """Raise ValueError for a filter that would put a text many times into its result."""
    times = {"replace": lambda: len(str(left)), "join": lambda: len(left) if isinstance(left, Sized) else 1}
    if name in times and arguments and times[name]() * max(len(str(arguments[-1])), 1) > MAX_OUTPUT_BYTES * 10:
        raise ValueError(f"the result of a {name} would be too long")


def _strip_tags(value: object) -> str:
    """Return a text without tags, and without elements that are not displayed, in linear time."""
    text, pieces, end, invisible_tag = "" if value is None else str(value), list[str](), 0, ""
    for tag in scan_tags(text):
        if not invisible_tag:
            pieces.append(text[end : tag.start])
        end = tag.end
        if tag.name in {"script", "style"}:
            invisible_tag = "" if tag.is_closing else invisible_tag or tag.name
    if not invisible_tag:
        pieces.append(text[end:])
    return "".join(pieces)


def _check_numbers(name: str, left: object, arguments: tuple[object, ...]) -> None:
    """Raise ValueError for a number with too many digits, also for a text that the filter would convert to a number."""
    for value in (left, *arguments):
        is_text = isinstance(value, str) and (name in NUMBER_FILTERS or (name in LENGTH_FILTERS and value is not left))
        if (isinstance(value, int) and abs(value) >= 10**MAX_DIGITS) or (is_text and _LONG_NUMBER.search(str(value))):
            raise ValueError(f"the filter {name} supports numbers of at most {MAX_DIGITS} digits")


def _build_namespaces(variables: Mapping[str, object]) -> dict[str, object]:
    from ai.template_values import Namespace  # noqa: PLC0415

    scope: dict[str, object] = {}
    for name, value in variables.items():
        if isinstance(value, Mapping):
            by_key = {custom_key(key): item for key, item in value.items() if not _is_blank(item)}
            scope[name] = Namespace(name, by_key)
        elif not _is_blank(value):
            scope[name] = value
    for name in ("custom", "sender", "workspace"):
        scope.setdefault(name, Namespace(name, {}))
    return scope


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _raise_template_error(error: Exception) -> NoReturn:
    """Raise a failure of the engine as a TemplateError with a sentence for the author of the template."""
    from liquid.exceptions import LiquidError, ResourceLimitError, UndefinedError  # noqa: PLC0415

    from ai.template_work import WorkExceeded  # noqa: PLC0415

    if isinstance(error, TemplateError):
        raise error
    if isinstance(error, UndefinedError):
        name = str(error.args[0])
        raise TemplateError(
            f'The variable {name} is empty for this lead. Fill it in, or write {{{{ {name} | default: "…" }}}}.',
            (name,),
        ) from error
    if isinstance(error, ResourceLimitError | MemoryError | WorkExceeded):
        raise TemplateError(
            "The template exceeds the limits of the sandbox. Make its loops and texts smaller."
        ) from error
    if isinstance(error, LiquidError):
        index = error.token.start_index if error.token else None
        position = "" if index is None or index < 0 else f" at character {index + 1}"
        raise TemplateError(f"The template is not valid Liquid{position}: {error.args[0]}.") from error
    raise TemplateError(f"The template cannot be rendered: {error}.") from error
