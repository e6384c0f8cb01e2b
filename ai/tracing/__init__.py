"""Sends traces of runs, their scores and prompt versions to Langfuse; without its keys it does nothing."""

from ai.tracing.langfuse_traces import create_tracing
from ai.tracing.traces import NO_TRACING, Generation, RunTrace, Tracing

__all__ = ["NO_TRACING", "Generation", "RunTrace", "Tracing", "create_tracing"]
