"""The steps of writing one email: gather, write or render, check, rewrite, finish.

All are coroutines: LangGraph hands plain functions to a thread each, which costs more than most of them do.
"""

from typing import Literal, TypedDict

from langgraph.runtime import Runtime

from ai import prompts, templates
from ai.cleaning import one_line, printable
from ai.context import NodeContext
from ai.errors import ModelUnavailable, TemplateError
from ai.models import Usage
from ai.workflows.email_generation import bodies, checks, rendering
from ai.workflows.email_generation.state import (
    Candidate,
    DraftFailed,
    EmailDraft,
    EmailGenerationInput,
    Generation,
    InputState,
    OutputState,
    State,
    WrittenEmail,
)

MAX_REWRITES = 2


class Update(TypedDict, total=False):
    """What a node may change."""

    variables: dict[str, object]
    candidate: Candidate | None
    problems: list[str]
    writings: int
    usage: Usage
    prompt_version: str
    fallback_reason: str | None


async def gather(state: InputState) -> Update:
    """Collect the variables and see that the templates ask for nothing that does not exist."""
    request = state["request"]
    problems = [
        f"{part} template: {problem}"
        for part, template in (("Subject", request.subject_template), ("Body", request.body_template))
        for problem in templates.check_template(template)
    ]
    return {
        "variables": rendering.variables_of(request),
        "problems": problems,
        "candidate": None,
        "writings": 0,
        "usage": Usage(),
    }


async def choose_author(state: State, runtime: Runtime[NodeContext]) -> Literal["write", "render", "finish"]:
    """A broken template serves neither author; a model writes where there is one."""
    if state["problems"]:
        return "finish"
    return "write" if runtime.context.models else "render"


async def write(state: State, runtime: Runtime[NodeContext]) -> Update:
    """Let the model write the email from the step's template and the lead's facts."""
    return await _ask(state, runtime, "write", _material(state["request"]))


async def rewrite(state: State, runtime: Runtime[NodeContext]) -> Update:
    """Let the model write again, told what was wrong."""
    candidate = state["candidate"]
    assert candidate is not None
    refused = {"subject": candidate.subject, "body": candidate.text}
    material = {**_material(state["request"]), "refused": refused, "problems": state["problems"]}
    return await _ask(state, runtime, "rewrite", material)


async def render(state: State) -> Update:
    """Fill the template with the lead's fields; what the model may have left behind is replaced."""
    try:
        return {"candidate": rendering.render(state["request"], state["variables"])}
    except TemplateError as error:
        return {"candidate": None, "problems": [error.message]}


async def check(state: State) -> Update:
    """Look for what forbids the text; without a text the reasons stand as they are."""
    candidate = state["candidate"]
    if candidate is None:
        return {}
    problems = checks.problems_of(candidate, state["request"])
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
    candidate, usage, reason = state["candidate"], state["usage"], state.get("fallback_reason")
    written = candidate is not None and candidate.author == "model"
    if reason is None and not written and not runtime.context.models:
        reason = "No model is configured."
    generation = Generation(
        model=usage.model if written else None,
        prompt_version=state.get("prompt_version") if written else None,
        trace_id=runtime.context.trace.id,
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        cost=usage.cost,
        fallback_reason=reason,
    )
    if candidate is None or state["problems"]:
        return {"result": DraftFailed(reasons=state["problems"], generation=generation)}
    html = candidate.html if candidate.html is not None else bodies.html_of(candidate.text)
    return {"result": EmailDraft(subject=candidate.subject, text=candidate.text, html=html, generation=generation)}


async def _ask(state: State, runtime: Runtime[NodeContext], name: str, material: dict[str, object]) -> Update:
    prompt = prompts.load("email_generation", name)
    writings = state["writings"] + 1
    try:
        answer = await runtime.context.ask(prompt, prompts.fence(material), WrittenEmail)
    except ModelUnavailable as unavailable:
        return {"candidate": None, "problems": [], "writings": writings, "fallback_reason": str(unavailable)}
    candidate = Candidate(
        subject=one_line(answer.parsed.subject), text=printable(answer.parsed.body).strip(), author="model"
    )
    usage = state["usage"] + answer.usage
    return {"candidate": candidate, "writings": writings, "usage": usage, "prompt_version": prompt.version}


def _material(request: EmailGenerationInput) -> dict[str, object]:
    return {
        "template": {"subject": request.subject_template, "body": request.body_template},
        "lead": request.lead.model_dump(),
        "sender": request.sender.model_dump(),
        "workspace": request.workspace_name,
        "voice": request.voice,
        "earlier_messages": [message.model_dump() for message in request.earlier_messages],
    }
