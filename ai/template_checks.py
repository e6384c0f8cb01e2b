"""Checks a step's template before it is saved: each problem is a sentence with its line and column."""

import re
from collections.abc import Iterator

from ai.templates import VARIABLES, TemplateError, check_template, find_tags, is_html
from ai.workflows.email_generation.placeholders import UNFILLED

MAX_SHOWN_CHARACTERS = 60

_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_CHARACTER = re.compile(r" at character (\d+)")
_UNKNOWN = re.compile(r"The (?:variable|filter) (\S+) does not exist")
_MANGLED = (
    (re.compile("[\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb]"), "curly quotation marks", "straight ones"),
    (re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#x[0-9a-fA-F]{1,6});"), "an HTML entity", "the character itself"),
    (re.compile(r"</?[a-zA-Z][^<>]*>"), "an HTML tag", "the tag outside the braces"),
    (re.compile(r"\\"), "a backslash", "the name without it"),
    (re.compile("[\u00a0\u2000-\u200a\u202f\u3000]"), "a no-break or wide space", "an ordinary space"),
    (re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]"), "an invisible character", "the tag anew"),
)
"""What editors put between the braces of a tag: how to find it, what it is, and what to write."""
_PARTED = re.compile("\\{[\u00ad\u200b-\u200f\u2060\ufeff]+[{%]|[}%][\u00ad\u200b-\u200f\u2060\ufeff]+\\}")
_HTML_HIDDEN = re.compile(r"<style\b[^<]*</style|<[^<>]*>", re.IGNORECASE)


def find_template_problems(template: str) -> list[str]:
    """Return a sentence for each problem of a template, with its place and what to do."""
    problems = check_template(template)
    try:
        tags = list(find_tags(template))
    except TemplateError:
        return [*_find_parted_braces(template), *(_with_place(template, problem) for problem in problems)]
    is_syntax_error = any(_CHARACTER.search(problem) for problem in problems)
    if is_syntax_error and (mangled := [*_find_mangled(template, tags)]):
        return mangled
    return [
        *(_with_place(template, problem) for problem in problems),
        *_find_parted_braces(template),
        *_find_placeholders(template, tags),
    ]


def locate(template: str, position: int) -> str:
    """Return the place of a character as words, both counted from 1: `Line 2, column 5`."""
    line = template.count("\n", 0, position) + 1
    return f"Line {line}, column {position - template.rfind(chr(10), 0, position)}"


def _with_place(template: str, problem: str) -> str:
    """Return a problem that begins with its place."""
    if character := _CHARACTER.search(problem):
        place = locate(template, int(character[1]) - 1)
        return f"{place}: {problem.replace(character[0], '', 1)} Correct this tag."
    if unknown := _UNKNOWN.match(problem):
        name = unknown[1].removeprefix("custom.")
        found = re.search(rf"\{{[{{%][^{{}}]*?(?<![\w.]){re.escape(name)}(?![\w])", template[:50_000])
        if found:
            place = locate(template, found.end() - len(name))
            return f"{place}: {problem}{_hint(name, found[0])}"
    return problem


def _hint(name: str, tag: str) -> str:
    if (lower := name.lower()) != name and lower in VARIABLES:
        return f" Write {lower} in lower case."
    if re.search(r"[:,]\s*$", tag[: -len(name)]):
        return f" If “{name}” is text, put it in straight quotation marks."
    return ""


def _find_mangled(template: str, tags: list[tuple[int, str]]) -> Iterator[str]:
    """Yield what an editor has put into the tags; the texts in quotation marks may contain anything."""
    for start, tag in tags:
        bare = _STRING.sub(lambda text: " " * len(text[0]), tag)
        for pattern, what, instead in _MANGLED:
            if found := pattern.search(bare):
                shown = template[max(start - 2, 0) : start + min(len(tag), MAX_SHOWN_CHARACTERS) + 2]
                place = locate(template, start + found.start())
                yield f"{place}: The tag {shown} contains {what}, which an editor may have put there. Write {instead}."
                break


def _find_parted_braces(template: str) -> Iterator[str]:
    for found in _PARTED.finditer(template):
        place = locate(template, found.start())
        yield f"{place}: An invisible character stands between two braces. Delete it, and write the braces anew."


def _find_placeholders(template: str, tags: list[tuple[int, str]]) -> Iterator[str]:
    """Yield what looks like a placeholder in the text around the tags, which would be sent as it is."""
    text, end = [], 0
    for start, tag in tags:
        text += [template[end : start - 2], " " * (len(tag) + 4)]
        end = start + len(tag) + 2
    around = "".join([*text, template[end:]])
    if is_html(template):
        around = _HTML_HIDDEN.sub(lambda hidden: " " * len(hidden[0]), around)
    for found in UNFILLED.finditer(around):
        place = locate(template, found.start())
        yield (
            f"{place}: “{found[0].strip()}” looks like a placeholder, and would be sent as it is. "
            "Write variables in two braces, such as {{ first_name }}."
        )
