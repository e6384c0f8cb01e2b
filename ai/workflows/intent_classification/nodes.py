"""The steps of reading one reply: headers, quotes, rules, the model for what is open, the decision.

All are coroutines: LangGraph hands plain functions to a thread each, which costs more than most of them do.
"""

from typing import Literal, TypedDict

from langgraph.runtime import Runtime

from ai import prompts
from ai.cleaning import printable
from ai.context import NO_MODEL, NodeContext
from ai.errors import ModelUnavailable
from ai.prompts import Prompt
from ai.workflows.intent_classification import rules
from ai.workflows.intent_classification.dates import return_date
from ai.workflows.intent_classification.headers import Kind, origin_of
from ai.workflows.intent_classification.quotes import written_part
from ai.workflows.intent_classification.state import (
    InputState,
    Intent,
    IntentAnswer,
    IntentOutput,
    OutputState,
    State,
    Verdict,
)

SURE = 0.7  # below it the model is asked
ENOUGH = 0.55  # below it a person is asked
DOUBTED = 0.5
BY_MACHINES = frozenset({Intent.OUT_OF_OFFICE, Intent.BOUNCE})
MAX_TEXT_ASKED = 6_000
CURLY_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"


class Update(TypedDict, total=False):
    """What a node may change."""

    kind: Kind
    is_automatic: bool
    text: str
    verdict: Verdict | None
    prompt: Prompt
    fallback_reason: str | None


async def read_headers(state: InputState) -> Update:
    """See whether a machine wrote the reply, and settle bounces and notices at once."""
    request = state["request"]
    origin = origin_of(request.headers, request.subject, request.text)
    verdict = None
    if origin.kind == "bounce":
        by: Literal["headers", "rules"] = "headers" if origin.certain else "rules"
        verdict = Verdict(label=Intent.BOUNCE, confidence=0.99 if origin.certain else 0.85, decided_by=by)
    elif origin.kind == "notice":
        verdict = Verdict(label=Intent.OTHER, confidence=0.9, decided_by="headers")
    return {"kind": origin.kind, "is_automatic": origin.kind != "person", "verdict": verdict, "fallback_reason": None}


async def is_settled(state: State) -> Literal["decide", "strip_quotes"]:
    """Headers that say it all leave nothing to read."""
    return "decide" if state["verdict"] else "strip_quotes"


async def strip_quotes(state: State) -> Update:
    """Keep what the sender wrote."""
    return {"text": printable(written_part(state["request"].text.replace(CURLY_APOSTROPHE, "'")))}


async def match_rules(state: State) -> Update:
    """Read the words: those of a machine for what kind of answer it is, those of a person for what they want."""
    subject = state["request"].subject
    received = state["request"].received_at.date()
    if state["is_automatic"]:
        return {"verdict": rules.judge_automatic(state["text"], subject, state["kind"], received)}
    verdict, is_automatic = rules.judge_person(state["text"], subject, received)
    return {"verdict": verdict, "is_automatic": is_automatic}


async def choose_judge(state: State, runtime: Runtime[NodeContext]) -> Literal["ask_model", "decide"]:
    """Ask the model where the words leave it open, if there is a model and a text."""
    verdict = state["verdict"]
    is_open = verdict is None or verdict.confidence < SURE
    return "ask_model" if is_open and state["text"] and runtime.context.models else "decide"


async def ask_model(state: State, runtime: Runtime[NodeContext]) -> Update:
    """Let the model label the reply; its failure leaves the rules' answer standing."""
    prompt = prompts.load("intent_classification", "label_reply")
    material: dict[str, object] = {"subject": state["request"].subject, "reply": state["text"][:MAX_TEXT_ASKED]}
    try:
        answer = await runtime.context.ask(prompt, prompts.fence(material), IntentAnswer)
    except ModelUnavailable as unavailable:
        return {"fallback_reason": str(unavailable)}
    heard, ruled = _heard(answer.parsed), state["verdict"]
    if ruled and ruled.confidence > heard.confidence:
        return {}
    return {"verdict": heard, "prompt": prompt}


def _heard(answer: IntentAnswer) -> Verdict:
    """Take an answer for what it is worth: a confidence that is none counts for nothing, and a reply in which neither
    headers nor words show a machine is not silenced because a model calls it one."""
    confidence = answer.confidence if 0 <= answer.confidence <= 1 else 0.0
    if answer.label in BY_MACHINES:
        confidence = min(confidence, DOUBTED)
    return Verdict(label=answer.label, confidence=confidence, decided_by="model")


async def decide(state: State, runtime: Runtime[NodeContext]) -> OutputState:
    """Hand back the label, or abstain so that a person looks; the label is then the best guess."""
    request, reason = state["request"], state.get("fallback_reason")
    verdict = state["verdict"] or Verdict(label=Intent.OTHER, confidence=0.0, decided_by="rules")
    if reason is None and verdict.confidence < SURE and not runtime.context.models:
        reason = NO_MODEL
    abstained = verdict.confidence < ENOUGH
    is_away = verdict.label is Intent.OUT_OF_OFFICE and not abstained
    spoken = f"{request.subject}\n\n{state.get('text', '')}"
    return {
        "result": IntentOutput(
            label=verdict.label,
            confidence=verdict.confidence,
            return_date=return_date(spoken, request.received_at.date()) if is_away else None,
            is_automatic=state["is_automatic"],
            decided_by="abstain" if abstained else verdict.decided_by,
            abstained=abstained,
            generation=runtime.context.generation(state.get("prompt"), reason),
        )
    }
