"""The steps of reading one reply: headers, quotes, rules, the model for what is open, the decision.

All are coroutines: LangGraph hands plain functions to a thread each, which costs more than most of them do.
"""

from typing import Literal, TypedDict

from langgraph.runtime import Runtime

from ai import prompts
from ai.cleaning import printable
from ai.context import NodeContext
from ai.errors import ModelUnavailable
from ai.workflows.intent_classification import rules
from ai.workflows.intent_classification.dates import return_date
from ai.workflows.intent_classification.headers import origin_of
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
MAX_TEXT_ASKED = 6_000
CURLY_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"


class Update(TypedDict, total=False):
    """What a node may change."""

    is_automatic: bool
    text: str
    verdict: Verdict | None
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
    return {"is_automatic": origin.kind != "person", "verdict": verdict, "fallback_reason": None}


async def is_settled(state: State) -> Literal["decide", "strip_quotes"]:
    """Headers that say it all leave nothing to read."""
    return "decide" if state["verdict"] else "strip_quotes"


async def strip_quotes(state: State) -> Update:
    """Keep what the sender wrote."""
    return {"text": printable(written_part(state["request"].text.replace(CURLY_APOSTROPHE, "'")))}


async def match_rules(state: State) -> Update:
    """Read the words: those of a machine for what kind of answer it is, those of a person for what they want."""
    subject = state["request"].subject
    if state["is_automatic"]:
        return {"verdict": rules.judge_automatic(state["text"], subject)}
    verdict, is_away_message = rules.judge_person(state["text"], subject)
    return {"verdict": verdict, "is_automatic": is_away_message}


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
    confidence = min(max(answer.parsed.confidence, 0.0), 1.0)
    return {"verdict": Verdict(label=answer.parsed.label, confidence=confidence, decided_by="model")}


async def decide(state: State, runtime: Runtime[NodeContext]) -> OutputState:
    """Hand back the label, or abstain so that a person looks."""
    verdict, reason = state["verdict"], state.get("fallback_reason")
    is_open = verdict is None or verdict.confidence < SURE
    if reason is None and is_open and not runtime.context.models:
        reason = "No model is configured."
    if verdict is None or verdict.confidence < ENOUGH:
        label, confidence = (verdict.label, verdict.confidence) if verdict else (Intent.OTHER, 0.0)
        return {
            "result": IntentOutput(
                label=label,
                confidence=confidence,
                is_automatic=state["is_automatic"],
                decided_by="abstain",
                abstained=True,
                fallback_reason=reason,
            )
        }
    away = verdict.label is Intent.OUT_OF_OFFICE
    request = state["request"]
    return {
        "result": IntentOutput(
            label=verdict.label,
            confidence=verdict.confidence,
            return_date=return_date(f"{request.subject}\n{state['text']}", request.received_at.date())
            if away
            else None,
            is_automatic=state["is_automatic"],
            decided_by=verdict.decided_by,
            fallback_reason=reason,
        )
    }
