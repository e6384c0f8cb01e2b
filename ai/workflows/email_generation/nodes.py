"""The steps of writing one email: gather, write or render, check, rewrite, finish.

All are coroutines: LangGraph hands plain functions to a thread each, which costs more than most of them do.
"""

from typing import Literal, TypedDict

from langgraph.runtime import Runtime

from ai import prompts, templates
from ai.context import NO_MODEL, NodeContext
from ai.errors import ModelUnavailable, TemplateError
from ai.prompts import Prompt
from ai.workflows.email_generation import answers, bodies, checks, material, rendering
from ai.workflows.email_generation.state import (
    Believed,
    Candidate,
    DraftFailed,
    EmailDraft,
    InputState,
    OutputState,
    State,
    WrittenEmail,
)

MAX_REWRITES = 2
MOST_REFUSED = 6_000
"""Characters of a refused text that are shown when it is to be rewritten."""


class Update(TypedDict, total=False):
    """What a node may change."""

    believed: Believed
    variables: dict[str, object]
    candidate: Candidate | None
    problems: list[str]
    writings: int
    prompt: Prompt
    fallback_reason: str | None


async def gather(state: InputState) -> Update:
    """Collect what can be believed, and see that the templates ask for nothing that does not exist."""
    request = state["request"]
    problems = [
        f"{part} template: {problem}"
        for part, template in (("Subject", request.subject_template), ("Body", request.body_template))
        for problem in templates.check_template(template)
    ]
    believed = material.believed(request)
    return {
        "believed": believed,
        "variables": rendering.variables_of(believed.request),
        "problems": problems,
        "candidate": None,
        "writings": 0,
    }


async def choose_author(state: State, runtime: Runtime[NodeContext]) -> Literal["write", "render", "finish"]:
    """A broken template serves neither author; a model writes where there is one."""
    if state["problems"]:
        return "finish"
    return "write" if runtime.context.models else "render"


async def write(state: State, runtime: Runtime[NodeContext]) -> Update:
    """Let the model write the email from the step's template and the lead's facts."""
    return await _ask(state, runtime, "write", material.shown(state["believed"].request))


async def rewrite(state: State, runtime: Runtime[NodeContext]) -> Update:
    """Let the model write again, told what was wrong."""
    candidate = state["candidate"]
    assert candidate is not None
    refused = {"subject": candidate.subject[:MOST_REFUSED], "body": candidate.text[:MOST_REFUSED]}
    given = material.shown(state["believed"].request)
    return await _ask(state, runtime, "rewrite", {**given, "refused": refused, "problems": state["problems"]})


async def render(state: State) -> Update:
    """Fill the template with the lead's fields; what the model may have left behind is replaced."""
    believed = state["believed"]
    try:
        return {"candidate": rendering.render(believed.request, state["variables"])}
    except TemplateError as error:
        return {"candidate": None, "problems": [error.message, *_withheld(believed, error)]}


async def check(state: State) -> Update:
    """Look for what forbids the text; without a text the reasons stand as they are."""
    candidate = state["candidate"]
    if candidate is None:
        return {}
    request = state["believed"].request
    rendered = rendering.rendered(request, state["variables"]) if candidate.author == "model" else None
    problems = checks.problems_of(candidate, request, rendered)
    if problems and candidate.author == "model" and state["writings"] > MAX_REWRITES:
        return {"problems": problems, "fallback_reason": f"The model's text failed the checks: {problems[0]}"}
    return {"problems": problems}


async def judge(state: State) -> Literal["rewrite", "render", "finish"]:
    """A refused text is rewritten while attempts remain; after them, or without any text, the template is rendered."""
    candidate = state["candidate"]
    if candidate is None:
        return "render" if state.get("fallback_reason") and not state["problems"] else "finish"
    if not state["problems"] or candidate.author == "template":
        return "finish"
    return "render" if state["writings"] > MAX_REWRITES else "rewrite"


async def finish(state: State, runtime: Runtime[NodeContext]) -> OutputState:
    """Hand back the draft, or the reasons why there is none, with how it came about."""
    candidate, reason = state["candidate"], state.get("fallback_reason")
    by_model = candidate is not None and candidate.author == "model"
    if reason is None and not by_model and not runtime.context.models:
        reason = NO_MODEL
    generation = runtime.context.generation(state.get("prompt") if by_model else None, reason)
    if candidate is None or state["problems"]:
        return {"result": DraftFailed(reasons=state["problems"], generation=generation)}
    html = candidate.html if candidate.html is not None else bodies.html_of(candidate.text)
    return {"result": EmailDraft(subject=candidate.subject, text=candidate.text, html=html, generation=generation)}


async def _ask(state: State, runtime: Runtime[NodeContext], name: str, given: dict[str, object]) -> Update:
    prompt = prompts.load("email_generation", name)
    writings = state["writings"] + 1
    try:
        answer = await runtime.context.ask(prompt, prompts.fence(given), WrittenEmail)
    except ModelUnavailable as unavailable:
        return {"candidate": None, "problems": [], "writings": writings, "fallback_reason": str(unavailable)}
    candidate = answers.written(answer.parsed, state["believed"].request.unsubscribe_url)
    return {"candidate": candidate, "writings": writings, "prompt": prompt}


def _withheld(believed: Believed, error: TemplateError) -> list[str]:
    """Return why fields that the lead has were as good as empty for a template."""
    names = {*error.names} | ({"first_name", "last_name"} if "full_name" in error.names else set())
    return [
        f"The lead's {name} counts as empty, because {believed.withheld[name]}."
        for name in sorted(names & believed.withheld.keys())
    ]
