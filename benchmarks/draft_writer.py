"""A process that writes drafts when asked to, as a worker does, by its environment's settings for model and traces.

`GET /write?by=model&seconds=2&at_once=32` writes for so long, and gives how long that and each draft took (in ms);
`by=template` asks no model. `GET /close` ends tracing and gives how many seconds that took.
"""

import argparse
import asyncio
import time
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI

from ai.models import model_access
from ai.registry import EMAIL_GENERATION
from ai.run import RunContext, run, warm
from ai.settings import AiSettings
from ai.tracing import tracing
from ai.workflows.email_generation.state import EmailDraft, EmailGenerationInput, LeadFacts
from benchmarks.errors import BenchFailed

REQUEST = EmailGenerationInput(
    subject_template="Hello {{ first_name }}",
    body_template="Hi {{ first_name }},\n\nhow are you?",
    lead=LeadFacts(first_name="Ann", last_name="Ndlovu", email="ann@acme.example", company="Acme", role="Buyer"),
)
ANSWER: dict[str, Any] = {
    "subject": "Hello Ann",
    "paragraphs": [[{"text": "Hi Ann,", "sources": []}], [{"text": "how are you?", "sources": []}]],
}
"""What a model may answer, so that every check is passed at once."""


def writer(settings: AiSettings) -> FastAPI:
    """Return the app that writes by these settings."""
    app = FastAPI()
    models, traces = model_access(settings), tracing(settings)

    @app.get("/ready")
    def ready() -> bool:
        warm()
        return True

    @app.get("/write")
    async def write(by: Literal["model", "template"], seconds: float, at_once: int) -> dict[str, Any]:
        context = RunContext(
            "workspace", actor="user", tags=("bench",), models=models if by == "model" else None, tracing=traces
        )
        started = time.perf_counter()
        taken = await asyncio.gather(*(_write_on(context, started + seconds) for _ in range(at_once)))
        return {"seconds": time.perf_counter() - started, "milliseconds": [one for some in taken for one in some]}

    @app.get("/close")
    def close() -> float:
        started = time.perf_counter()
        traces.close()
        return time.perf_counter() - started

    return app


async def _write_on(context: RunContext, until: float) -> list[float]:
    """Write one draft after the other and return how long each took; raises BenchFailed for one that is none."""
    taken = []
    while (begun := time.perf_counter()) < until:
        output = await run(EMAIL_GENERATION, REQUEST, context=context)
        if not isinstance(output, EmailDraft) or (output.generation.model is None) != (context.models is None):
            raise BenchFailed(f"A draft was not written as it should be: {output}")
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(writer(AiSettings()), port=parser.parse_args().port, log_level="warning")
