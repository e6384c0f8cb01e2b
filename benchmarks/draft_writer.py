"""A process that writes drafts on request, as a worker does, with the model and tracing settings of its environment.

`GET /write?by=model&seconds=2&concurrency=32` writes drafts for that time, and returns the seconds it took and the
milliseconds of each draft; `by=template` uses no model. `GET /close` ends tracing and returns the seconds it took.
"""

import argparse
import asyncio
import time
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI

from ai.models import create_model_access
from ai.registry import EMAIL_GENERATION
from ai.run import RunContext, load_graphs, run
from ai.settings import AiSettings
from ai.tracing import create_tracing
from ai.workflows.email_generation.state import EmailDraft, EmailGenerationInput, LeadFacts
from benchmarks.errors import BenchmarkError

REQUEST = EmailGenerationInput(
    subject_template="Hello {{ first_name }}",
    body_template="Hi {{ first_name }},\n\nhow are you?",
    lead=LeadFacts(first_name="Ann", last_name="Ndlovu", email="ann@acme.example", company="Acme", role="Buyer"),
)
ANSWER: dict[str, Any] = {
    "subject": "Hello Ann",
    "paragraphs": [[{"text": "Hi Ann,", "sources": []}], [{"text": "how are you?", "sources": []}]],
}
"""A model's answer that passes every check."""


def create_app(settings: AiSettings) -> FastAPI:
    """Return an app that writes drafts with these settings."""
    app = FastAPI()
    models, traces = create_model_access(settings), create_tracing(settings)

    @app.get("/ready")
    def ready() -> bool:
        load_graphs()
        return True

    @app.get("/write")
    async def write(by: Literal["model", "template"], seconds: float, concurrency: int) -> dict[str, Any]:
        context = RunContext(
            "workspace", actor="user", tags=("bench",), models=models if by == "model" else None, tracing=traces
        )
        started = time.perf_counter()
        durations = await asyncio.gather(*(_write_drafts(context, started + seconds) for _ in range(concurrency)))
        return {
            "seconds": time.perf_counter() - started,
            "milliseconds": [duration for writer in durations for duration in writer],
        }

    @app.get("/close")
    def close() -> float:
        started = time.perf_counter()
        traces.close()
        return time.perf_counter() - started

    return app


async def _write_drafts(context: RunContext, until: float) -> list[float]:
    """Write drafts one after the other, and return the duration of each in ms; raises BenchmarkError for a failure."""
    durations = []
    while (started := time.perf_counter()) < until:
        output = await run(EMAIL_GENERATION, REQUEST, context=context)
        if not isinstance(output, EmailDraft) or (output.generation.model is None) != (context.models is None):
            raise BenchmarkError(f"A draft was not written as expected: {output}")
        durations.append((time.perf_counter() - started) * 1000)
    return durations


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(create_app(AiSettings()), port=parser.parse_args().port, log_level="warning")
