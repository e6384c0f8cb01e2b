"""The nodes of intent classification: headers, quotes, rules, the model for unclear replies, the decision.

All nodes are coroutines, because LangGraph runs plain functions in threads, which takes longer than most nodes.
"""

from typing import Literal, TypedDict

from langgraph.runtime import Runtime

from ai import prompts
from ai.cleaning import remove_control_characters
from ai.context import NO_MODEL, NodeContext
from ai.errors import ModelUnavailable
from ai.prompts import Prompt
from ai.workflows.intent_classification import rules
from ai.workflows.intent_classification.date_order import read_sent_at
from ai.workflows.intent_classification.dates import find_return
from ai.workflows.intent_classification.headers import Kind, detect_origin, find_recipient_names, find_sender_names
from ai.workflows.intent_classification.state import (
    InputState,
    Intent,
    IntentAnswer,
    IntentOutput,
    OutputState,
    State,
    Verdict,
)
from ai.workflows.intent_classification.wording import normalize
from email_text.addresses import find_addresses
from email_text.forwards import find_colleague
from email_text.own_text import remove_sent_text
from email_text.quotes import split_reply

MODEL_THRESHOLD = 0.7  # below this confidence the model is asked
REVIEW_THRESHOLD = 0.55  # below this confidence a user must review the reply
MAX_MACHINE_CONFIDENCE = 0.5
MACHINE_INTENTS = frozenset({Intent.OUT_OF_OFFICE, Intent.BOUNCE})
MAX_MODEL_CHARACTERS = 6_000
CURLY_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"


class Update(TypedDict, total=False):
    """The state changes of a node."""

    kind: Kind
    is_automatic: bool
    text: str
    tail: str
    verdict: Verdict | None
    prompt: Prompt
    fallback_reason: str | None


async def read_headers(state: InputState) -> Update:
    """Detect the origin of the reply, and classify bounces and notices."""
    request = state["request"]
    origin = detect_origin(request.headers, request.subject, request.text)
    verdict = None
    if origin.kind == "bounce":
        by: Literal["headers", "rules"] = "headers" if origin.certain else "rules"
        verdict = Verdict(label=Intent.BOUNCE, confidence=0.99 if origin.certain else 0.85, decided_by=by)
    elif origin.kind == "notice":
        verdict = Verdict(label=Intent.OTHER, confidence=0.9, decided_by="headers")
    return {"kind": origin.kind, "is_automatic": origin.kind != "person", "verdict": verdict, "fallback_reason": None}


async def choose_after_headers(state: State) -> Literal["decide", "strip_quotes"]:
    """Decide at once if the headers are sufficient."""
    return "decide" if state["verdict"] else "strip_quotes"


async def strip_quotes(state: State) -> Update:
    """Remove quotes, the text of the answered mail, and the signature from the text."""
    request = state["request"]
    parts = split_reply(
        request.text.replace(CURLY_APOSTROPHE, "'"),
        sender_names=find_sender_names(request.headers),
        own_names=find_recipient_names(request.headers),
    )
    sent_text = request.sent_text.replace(CURLY_APOSTROPHE, "'")
    text, tail = (remove_sent_text(part, sent_text) for part in (parts.text, parts.tail))
    return {"text": remove_control_characters(text).strip(), "tail": remove_control_characters(tail).strip()}


async def match_rules(state: State) -> Update:
    """Classify the text by rules, separately for automatic and personal replies."""
    request = state["request"]
    received = request.received_at.date()
    if state["is_automatic"]:
        return {"verdict": rules.classify_automatic(state["text"], request.subject, state["kind"], received)}
    sent_at = read_sent_at(request.headers, request.received_at, request.time_zone)
    verdict, is_automatic = rules.classify_personal(
        state["text"], request.subject, received, request.sent_subject, sent_at
    )
    if not is_automatic and rules.is_offered_no(state["text"], request.sent_text):
        verdict = Verdict(label=Intent.UNSUBSCRIBE, confidence=rules.OFFERED_CONFIDENCE, decided_by="rules")
    sender = next((value for name, value in request.headers if name.casefold() == "from"), "")
    if not is_automatic and (forwarded := find_colleague(request.text, next(iter(find_addresses(sender)), ""))):
        words = remove_sent_text(split_reply(forwarded.text).text, request.sent_text)
        if rules.is_unsubscribe(words):
            verdict = Verdict(label=Intent.UNSUBSCRIBE, confidence=rules.FORWARDED_CONFIDENCE, decided_by="rules")
    return {"verdict": verdict, "is_automatic": is_automatic}


async def choose_after_rules(state: State, runtime: Runtime[NodeContext]) -> Literal["ask_model", "decide"]:
    """Ask the model if the rules are not confident enough and there is a model and a text."""
    verdict = state["verdict"]
    is_unclear = verdict is None or verdict.confidence < MODEL_THRESHOLD
    return "ask_model" if is_unclear and state["text"] and runtime.context.models else "decide"


async def ask_model(state: State, runtime: Runtime[NodeContext]) -> Update:
    """Let the model classify the reply; after a failure the verdict of the rules stays."""
    prompt = prompts.load("intent_classification", "label_reply")
    material: dict[str, object] = {"subject": state["request"].subject, "reply": state["text"][:MAX_MODEL_CHARACTERS]}
    try:
        answer = await runtime.context.ask(prompt, prompts.fence(material), IntentAnswer)
    except ModelUnavailable as unavailable:
        return {"fallback_reason": str(unavailable)}
    model_verdict, rule_verdict = _to_verdict(answer.parsed), state["verdict"]
    if rule_verdict and rule_verdict.confidence > model_verdict.confidence:
        return {}
    return {"verdict": model_verdict, "prompt": prompt}


def _to_verdict(answer: IntentAnswer) -> Verdict:
    """Convert the model's answer to a verdict.

    An invalid confidence counts as 0. A machine intent that neither headers nor rules support gets at most
    MAX_MACHINE_CONFIDENCE, so that a user reviews the reply.
    """
    confidence = answer.confidence if 0 <= answer.confidence <= 1 else 0.0
    if answer.label in MACHINE_INTENTS:
        confidence = min(confidence, MAX_MACHINE_CONFIDENCE)
    return Verdict(label=answer.label, confidence=confidence, decided_by="model")


async def decide(state: State, runtime: Runtime[NodeContext]) -> OutputState:
    """Return the intent, or abstain so that a user reviews it; the label is then the best guess."""
    request, reason = state["request"], state.get("fallback_reason")
    verdict = state["verdict"] or Verdict(label=Intent.OTHER, confidence=0.0, decided_by="rules")
    if reason is None and verdict.confidence < MODEL_THRESHOLD and not runtime.context.models:
        reason = NO_MODEL
    abstained = verdict.confidence < REVIEW_THRESHOLD
    is_away = verdict.label is Intent.OUT_OF_OFFICE and not abstained
    text = f"{request.subject}\n\n{state.get('text', '')}"
    sent_at = read_sent_at(request.headers, request.received_at, request.time_zone)
    return_date = find_return(text, sent_at).day if is_away else None
    is_doubtful = is_away and (return_date is None or verdict.confidence <= rules.NOTE_CONFIDENCE)
    is_hinted = (
        not state["is_automatic"]
        and verdict.label is not Intent.UNSUBSCRIBE
        and (
            rules.has_unsubscribe_hint(state.get("tail", ""))
            or rules.may_be_unsubscribe(normalize(state.get("text", "")))
        )
    )
    return {
        "result": IntentOutput(
            label=verdict.label,
            confidence=verdict.confidence,
            return_date=return_date,
            is_automatic=state["is_automatic"],
            decided_by="abstain" if abstained else verdict.decided_by,
            abstained=abstained,
            needs_review=abstained or is_hinted or is_doubtful,
            generation=runtime.context.generation(state.get("prompt"), reason),
        )
    }
