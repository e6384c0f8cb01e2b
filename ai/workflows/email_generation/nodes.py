"""The nodes of email generation: gather, write or render, check, rewrite, finish.

All nodes are coroutines, because LangGraph runs plain functions in threads, which takes longer than most nodes.
"""

from typing import Literal, TypedDict

from langgraph.runtime import Runtime

from ai import prompts, templates
from ai.context import NO_MODEL, NodeContext
from ai.errors import ModelUnavailable, TemplateError
from ai.prompts import Prompt
from ai.workflows.email_generation import answers, checks, material, rendering
from ai.workflows.email_generation.state import (
    Candidate,
    DraftFailed,
    EmailDraft,
    InputState,
    OutputState,
    PlausibleRequest,
    State,
    WrittenEmail,
)
from ai.workflows.email_generation.warnings import find_warnings
from email_text import conversion

MAX_REWRITES = 2
MAX_REFUSED_CHARACTERS = 6_000
"""The limit of a rejected text in the input of a rewrite."""


class Update(TypedDict, total=False):
    """The state changes of a node."""

    plausible: PlausibleRequest
    variables: dict[str, object]
    candidate: Candidate | None
    problems: list[str]
    writings: int
    prompt: Prompt
    fallback_reason: str | None


async def gather(state: InputState) -> Update:
    """Remove implausible fields, and check that all variables of the templates exist."""
    request = state["request"]
    problems = [
        f"{part} template: {problem}"
        for part, template in (("Subject", request.subject_template), ("Body", request.body_template))
        for problem in templates.check_template(template)
    ]
    plausible = material.remove_implausible_fields(request)
    return {
        "plausible": plausible,
        "variables": rendering.build_variables(plausible.request),
        "problems": problems,
        "candidate": None,
        "writings": 0,
    }


async def choose_author(state: State, runtime: Runtime[NodeContext]) -> Literal["write", "render", "finish"]:
    """Finish if a template is invalid, otherwise let a model write if there is one, else render."""
    if state["problems"]:
        return "finish"
    return "write" if runtime.context.models else "render"


async def write(state: State, runtime: Runtime[NodeContext]) -> Update:
    """Let the model write the email from the step's template and the lead's facts."""
    return await _ask(state, runtime, "write", material.build_model_input(state["plausible"].request))


async def rewrite(state: State, runtime: Runtime[NodeContext]) -> Update:
    """Let the model rewrite a rejected text, with the problems in its input."""
    candidate = state["candidate"]
    assert candidate is not None
    rejected = {"subject": candidate.subject[:MAX_REFUSED_CHARACTERS], "body": candidate.text[:MAX_REFUSED_CHARACTERS]}
    model_input = material.build_model_input(state["plausible"].request)
    return await _ask(state, runtime, "rewrite", {**model_input, "refused": rejected, "problems": state["problems"]})


async def render(state: State) -> Update:
    """Render the template with the lead's fields, which replaces a text of the model."""
    plausible = state["plausible"]
    try:
        return {"candidate": rendering.render(plausible.request, state["variables"])}
    except TemplateError as error:
        return {"candidate": None, "problems": [error.message, *_explain_withheld_fields(plausible, error)]}


async def check(state: State) -> Update:
    """Check the text; without a text the problems do not change."""
    candidate = state["candidate"]
    if candidate is None:
        return {}
    request = state["plausible"].request
    rendered = rendering.try_render(request, state["variables"]) if candidate.author == "model" else None
    problems = checks.find_problems(candidate, request, rendered)
    if problems and candidate.author == "model" and state["writings"] > MAX_REWRITES:
        return {"problems": problems, "fallback_reason": f"The model's text failed the checks: {problems[0]}"}
    return {"problems": problems}


async def choose_next_step(state: State) -> Literal["rewrite", "render", "finish"]:
    """Rewrite a rejected text while attempts remain; after them, or without any text, render the template."""
    candidate = state["candidate"]
    if candidate is None:
        return "render" if state.get("fallback_reason") and not state["problems"] else "finish"
    if not state["problems"] or candidate.author == "template":
        return "finish"
    return "render" if state["writings"] > MAX_REWRITES else "rewrite"


async def finish(state: State, runtime: Runtime[NodeContext]) -> OutputState:
    """Return the draft, or the reasons for the failure, with how it was generated."""
    candidate, reason = state["candidate"], state.get("fallback_reason")
    by_model = candidate is not None and candidate.author == "model"
    if reason is None and not by_model and not runtime.context.models:
        reason = NO_MODEL
    generation = runtime.context.generation(state.get("prompt") if by_model else None, reason)
    if candidate is None or state["problems"]:
        return {"result": DraftFailed(reasons=state["problems"], generation=generation)}
    html = candidate.html if candidate.html is not None else conversion.to_html(candidate.text)
    plausible = state["plausible"]
    warnings = find_warnings(candidate, plausible.request, plausible.withheld)
    draft = EmailDraft(
        subject=candidate.subject, text=candidate.text, html=html, warnings=warnings, generation=generation
    )
    return {"result": draft}


async def _ask(state: State, runtime: Runtime[NodeContext], name: str, model_input: dict[str, object]) -> Update:
    prompt = prompts.load("email_generation", name)
    writings = state["writings"] + 1
    try:
        answer = await runtime.context.ask(prompt, prompts.fence(model_input), WrittenEmail)
    except ModelUnavailable as unavailable:
        return {"candidate": None, "problems": [], "writings": writings, "fallback_reason": str(unavailable)}
    candidate = answers.to_candidate(answer.parsed, state["plausible"].request.unsubscribe_url)
    return {"candidate": candidate, "writings": writings, "prompt": prompt}


def _explain_withheld_fields(plausible: PlausibleRequest, error: TemplateError) -> list[str]:
    """Return why fields of the lead were treated as empty."""
    names = {*error.names} | ({"first_name", "last_name"} if "full_name" in error.names else set())
    return [
        f"The lead's {name} counts as empty, because {plausible.withheld[name]}."
        for name in sorted(names & plausible.withheld.keys())
    ]
