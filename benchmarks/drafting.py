"""`salesmatter bench drafting`: measures drafts per second without tracing, and with Langfuse up, slow or gone.

Each variant has its own process, which writes drafts as a worker does. Drafts from the template consist only of our own
work, so they show the greatest possible cost of tracing. Drafts by a model, which responds faster than real models,
show the cost in practice. The processes alternate, and the order rotates.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

import httpx

from ai.settings import AiSettings
from api.settings import ApiSettings
from benchmarks.draft_writer import ANSWER
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.progress import Progress
from benchmarks.servers import Server, run_servers
from benchmarks.sizes import Size
from salesmatter.ports import find_free_port

CONCURRENCY: dict[str, int] = {
    "template": ApiSettings.model_fields["draft_concurrency"].default,
    "model": AiSettings.model_fields["openai_concurrency"].default,
}
"""The default number of concurrent drafts of a worker; for a model, the default number of concurrent calls."""
CLOSING_SECONDS: int = AiSettings.model_fields["langfuse_timeout_seconds"].default
SLOW_SECONDS = 5.0
"""Longer than the timeout of a batch of traces."""
MODEL_SECONDS, QUEUE_SECONDS = 0.25, 2.0
MIN_RATIO, MAX_EXTRA_CLOSING_SECONDS = 0.9, 0.5
SOURCES = {"template": "from the template", "model": "by a model"}
SERVER_MODULE = "benchmarks.fixed_response_server"


@dataclass(frozen=True, slots=True)
class Load:
    """The number of rounds, and the seconds of each measurement."""

    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """The seconds of a measurement, and the milliseconds of each draft."""

    seconds: float
    milliseconds: list[float]


LOADS: dict[Size, dict[str, Load]] = {
    "small": {"template": Load(6, 0.5), "model": Load(3, 1.0)},
    "full": {"template": Load(12, 3.0), "model": Load(6, 6.0)},
}


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measure with temporary servers; raises StartError."""
    return measure(LOADS[size], progress)


def measure(loads: Mapping[str, Load], progress: Progress) -> list[Figure]:
    """Measure with the given loads; raises StartError."""
    progress("Starting a model server, two Langfuse servers and four writer processes.")
    servers = [
        Server("model", [SERVER_MODULE, "--body", json.dumps(_response()), "--delay", str(MODEL_SECONDS)], "/", {}),
        Server("langfuse-up", [SERVER_MODULE], "/", {}),
        Server("langfuse-slow", [SERVER_MODULE, "--delay", str(SLOW_SECONDS)], "/", {}),
    ]
    with run_servers(*servers) as (model, up, slow):
        langfuses = {"off": None, "up": up, "slow": slow, "gone": find_free_port()}
        writers = [_writer_server(name, model, langfuse) for name, langfuse in langfuses.items()]
        with run_servers(*writers) as ports, httpx.Client(timeout=60, trust_env=False) as http:
            urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(langfuses, ports, strict=True)}
            figures = [
                figure for by in SOURCES for figure in _figures(by, _measure_all(http, urls, by, loads[by], progress))
            ]
            progress("Closing the tracing.")
            return [*figures, *(_measure_closing(http, urls[name], name) for name in ("slow", "gone"))]


def _writer_server(name: str, model: int, langfuse: int | None) -> Server:
    environment = {"OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": f"http://127.0.0.1:{model}/v1"}
    if langfuse is not None:
        environment |= {
            "LANGFUSE_PUBLIC_KEY": "pk-lf-bench",
            "LANGFUSE_SECRET_KEY": "sk-lf-bench",
            "LANGFUSE_BASE_URL": f"http://127.0.0.1:{langfuse}",
        }
    return Server(f"drafts-{name}", ["benchmarks.draft_writer"], "/ready", environment)


def _measure_all(
    http: httpx.Client, urls: Mapping[str, str], by: str, load: Load, progress: Progress
) -> dict[str, list[Measurement]]:
    progress(f"Writing drafts {SOURCES[by]}, {load.rounds} rounds of {load.seconds:g} s each.")
    names = list(urls)
    measurements: dict[str, list[Measurement]] = {name: [] for name in names}
    for name in names:
        _measure(http, urls[name], by, load.seconds / 2)
    for number in range(load.rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            measurements[name].append(_measure(http, urls[name], by, load.seconds))
    return measurements


def _measure(http: httpx.Client, url: str, by: str, seconds: float) -> Measurement:
    response = http.get(f"{url}/write", params={"by": by, "seconds": seconds, "concurrency": CONCURRENCY[by]})
    if not response.is_success:
        raise BenchmarkError(f"A draft {SOURCES[by]} failed. See .salesmatter/logs/bench-drafts-*.log.")
    written = response.json()
    return Measurement(written["seconds"], written["milliseconds"])


def _figures(by: str, measurements: Mapping[str, Sequence[Measurement]]) -> Iterator[Figure]:
    rates = {
        name: sum(len(run.milliseconds) for run in runs) / sum(run.seconds for run in runs)
        for name, runs in measurements.items()
    }
    for name in ("up", "slow", "gone"):
        base = "off" if by == "model" or name == "up" else "up"
        base_name = "no traces" if base == "off" else "up"
        target = MIN_RATIO if by == "model" or name != "up" else None
        yield Figure(
            f"drafts {SOURCES[by]}, Langfuse {name}, beside {base_name}",
            rates[name],
            "/s",
            rates[base],
            at_least=target,
        )
    tails = {
        name: quantiles((duration for run in runs for duration in run.milliseconds), n=20)
        for name, runs in measurements.items()
    }
    for name in ("up", "slow", "gone"):
        yield Figure(f"a draft {SOURCES[by]}, Langfuse {name}, p50", tails[name][9], "ms", tails["off"][9])
        yield Figure(f"a draft {SOURCES[by]}, Langfuse {name}, p95", tails[name][18], "ms", tails["off"][18])


def _measure_closing(http: httpx.Client, url: str, name: str) -> Figure:
    """Close the tracing with many traces in its queue."""
    _measure(http, url, "template", QUEUE_SECONDS)
    seconds = http.get(f"{url}/close").raise_for_status().json()
    return Figure(f"closing, Langfuse {name}", seconds, "s", at_most=CLOSING_SECONDS + MAX_EXTRA_CLOSING_SECONDS)


def _response() -> dict[str, object]:
    """Return the response of OpenAI's Responses API with the answer `ANSWER`."""
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
