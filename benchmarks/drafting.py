"""`salesmatter bench drafting`: drafts a second without traces, and with a Langfuse that is up, slow or gone.

Each way of tracing has a process of its own, which writes drafts as a worker does. From the template nothing but our
own work is in the figures: the most that tracing can cost. By a model that answers sooner than any real one they show
what drafting notices of it. The processes take turns, and who begins changes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

import httpx

from ai.settings import AiSettings
from api.settings import ApiSettings
from benchmarks.draft_writer import ANSWER
from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.registry import Say, Size
from benchmarks.servers import Server, serving
from salesmatter.ports import free_port

AT_ONCE: dict[str, int] = {
    "template": ApiSettings.model_fields["draft_concurrency"].default,
    "model": AiSettings.model_fields["openai_concurrency"].default,
}
"""Drafts a worker writes at once unless it is told otherwise; by a model so many that none waits for another's call."""
CLOSING_SECONDS: int = AiSettings.model_fields["langfuse_timeout_seconds"].default
SLOW_SECONDS = 5.0
"""Longer than a batch of traces is waited for."""
MODEL_SECONDS, UNSENT_SECONDS = 0.25, 2.0
LEAST, MOST_OVER_CLOSING = 0.9, 0.5
WAYS = {"template": "from the template", "model": "by a model"}
ANSWERER = "benchmarks.bare_answerer"


@dataclass(frozen=True, slots=True)
class Load:
    """How many rounds of turns of so many seconds."""

    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn came to: how long it took, and how long each of its drafts."""

    seconds: float
    milliseconds: list[float]


LOADS: dict[Size, dict[str, Load]] = {
    "small": {"template": Load(6, 0.5), "model": Load(3, 1.0)},
    "full": {"template": Load(12, 3.0), "model": Load(6, 6.0)},
}


def run(size: Size, say: Say) -> list[Figure]:
    """Measure with servers of its own; raises StartError."""
    return measure(LOADS[size], say)


def measure(loads: Mapping[str, Load], say: Say) -> list[Figure]:
    """Measure so much; raises StartError."""
    say("Starting a model, two Langfuses, and four processes that write.")
    answers = [
        Server("model", [ANSWERER, "--body", json.dumps(_response()), "--after", str(MODEL_SECONDS)], "/", {}),
        Server("langfuse-up", [ANSWERER], "/", {}),
        Server("langfuse-slow", [ANSWERER, "--after", str(SLOW_SECONDS)], "/", {}),
    ]
    with serving(*answers) as (model, up, slow):
        langfuses = {"off": None, "up": up, "slow": slow, "gone": free_port()}
        writers = [_writer(name, model, langfuse) for name, langfuse in langfuses.items()]
        with serving(*writers) as ports, httpx.Client(timeout=60, trust_env=False) as http:
            urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(langfuses, ports, strict=True)}
            found = [figure for by in WAYS for figure in _figures(by, _turns(http, urls, by, loads[by], say))]
            say("Closing.")
            return [*found, *(_closing(http, urls[name], name) for name in ("slow", "gone"))]


def _writer(name: str, model: int, langfuse: int | None) -> Server:
    environment = {"OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": f"http://127.0.0.1:{model}/v1"}
    if langfuse is not None:
        environment |= {
            "LANGFUSE_PUBLIC_KEY": "pk-lf-bench",
            "LANGFUSE_SECRET_KEY": "sk-lf-bench",
            "LANGFUSE_BASE_URL": f"http://127.0.0.1:{langfuse}",
        }
    return Server(f"drafts-{name}", ["benchmarks.draft_writer"], "/ready", environment)


def _turns(http: httpx.Client, urls: Mapping[str, str], by: str, load: Load, say: Say) -> dict[str, list[Turn]]:
    say(f"Writing drafts {WAYS[by]}, {load.rounds} rounds of {load.seconds:g} s each.")
    names = list(urls)
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    for name in names:
        _turn(http, urls[name], by, load.seconds / 2)
    for number in range(load.rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            turns[name].append(_turn(http, urls[name], by, load.seconds))
    return turns


def _turn(http: httpx.Client, url: str, by: str, seconds: float) -> Turn:
    response = http.get(f"{url}/write", params={"by": by, "seconds": seconds, "at_once": AT_ONCE[by]})
    if not response.is_success:
        raise BenchFailed(f"A draft {WAYS[by]} failed; the reason is in .salesmatter/logs/bench-drafts-*.log.")
    written = response.json()
    return Turn(written["seconds"], written["milliseconds"])


def _figures(by: str, turns: Mapping[str, Sequence[Turn]]) -> Iterator[Figure]:
    rates = {
        name: sum(len(turn.milliseconds) for turn in found) / sum(turn.seconds for turn in found)
        for name, found in turns.items()
    }
    for name in ("up", "slow", "gone"):
        base = "off" if by == "model" or name == "up" else "up"
        beside = "no traces" if base == "off" else "up"
        target = LEAST if by == "model" or name != "up" else None
        yield Figure(
            f"drafts {WAYS[by]}, Langfuse {name}, beside {beside}", rates[name], "/s", rates[base], at_least=target
        )
    tails = {
        name: quantiles((one for turn in found for one in turn.milliseconds), n=20) for name, found in turns.items()
    }
    for name in ("up", "slow", "gone"):
        yield Figure(f"a draft {WAYS[by]}, Langfuse {name}, p50", tails[name][9], "ms", tails["off"][9])
        yield Figure(f"a draft {WAYS[by]}, Langfuse {name}, p95", tails[name][18], "ms", tails["off"][18])


def _closing(http: httpx.Client, url: str, name: str) -> Figure:
    """Close with many traces waiting."""
    _turn(http, url, "template", UNSENT_SECONDS)
    seconds = http.get(f"{url}/close").raise_for_status().json()
    return Figure(f"closing, Langfuse {name}", seconds, "s", at_most=CLOSING_SECONDS + MOST_OVER_CLOSING)


def _response() -> dict[str, object]:
    """Return what OpenAI's Responses API says when the model answers with `ANSWER`."""
    content = {"type": "output_text", "text": json.dumps(ANSWER), "annotations": []}
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [content]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "bench",
        "output": [message],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120},
    }
