"""Leaves traces of runs, judgements on them and versions of prompts in Langfuse; without its keys, nowhere."""

from ai.tracing.langfuse_traces import tracing
from ai.tracing.traces import NO_TRACING, Generation, RunTrace, Tracing

__all__ = ["NO_TRACING", "Generation", "RunTrace", "Tracing", "tracing"]
