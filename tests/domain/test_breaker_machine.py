"""Compares the breaker with a model written from its documentation, over any order of calls, results and losses."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from domain.breaker import (
    AllCalls,
    BreakerState,
    CallResult,
    NoCalls,
    ResultKind,
    SingleProbe,
    apply_result,
    decide_admission,
)
from tests.breaker_model import Call, Model

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class BreakerMachine(RuleBasedStateMachine):
    """Calls start, end in any order with any result, or are lost, while time passes."""

    calls: Bundle[Call] = Bundle("calls")

    @initialize()
    def start(self) -> None:
        """Start with a closed breaker."""
        self.now, self.state, self.model = START, BreakerState(), Model()

    @rule(seconds=st.sampled_from([0.1, 1, 4.9, 5, 10, 60, 119.9, 120, 300, 3600]))
    def pass_time(self, seconds: float) -> None:
        """Move the clock forward."""
        self.now += timedelta(seconds=seconds)

    @rule()
    def pass_block(self) -> None:
        """Move the clock to the end of the block."""
        self.now = max(self.now, self.model.block or self.now)

    @rule(target=calls)
    def call(self) -> Call | MultipleResults[Call]:
        """Start a call as a worker does; the lease of a probe becomes the block."""
        admitted = decide_admission(self.state.failures, self.state.blocked_until, self.now)
        match self.model.get_admission(self.now):
            case "none":
                assert admitted == NoCalls(self.model.block or self.now)
                return multiple()
            case "one":
                assert admitted == SingleProbe(self.now + 2 * MINUTE)
                self.state = BreakerState(self.state.failures, self.now + 2 * MINUTE)
                self.model = self.model.probe(self.now)
                return Call(self.model.block, is_probe=True)
            case _:
                assert admitted == AllCalls()
                return Call(None, is_probe=False)

    def end(self, call: Call, kind: ResultKind, retry_after: float | None = None) -> None:
        """Apply the result of a call to the breaker and the model."""
        self.state = apply_result(self.state, CallResult(kind, call.seen_block, retry_after), self.now)
        self.model = self.model.end(call, kind, retry_after, self.now)

    @rule(
        call=consumes(calls),
        kind=st.sampled_from(ResultKind),
        retry_after=st.none() | st.sampled_from([0.0, 1.0, 5.0, 6.0, 120.0, 3600.0, 86_400.0, 86_401.0]),
    )
    def end_a_call(self, call: Call, kind: ResultKind, retry_after: float | None) -> None:
        """End a call, late or in time."""
        self.end(call, kind, retry_after)

    @rule(call=consumes(calls))
    def lose_a_call(self, call: Call) -> None:
        """Lose the worker of a call: its result never arrives, and the lease of a probe runs out."""

    @rule(times=st.integers(3, 12))
    def fail_repeatedly(self, times: int) -> None:
        """Fail calls one after the other, each as soon as it is admitted."""
        for _ in range(times):
            self.pass_block()
            call = self.call()
            assert isinstance(call, Call)
            self.end(call, ResultKind.FAILED)
            self.check_agreement()

    @invariant()
    def check_agreement(self) -> None:
        """The breaker and the model have the same block and the same number of failures."""
        assert self.state.blocked_until == self.model.block
        assert self.state.failures == self.model.failures


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None, derandomize=True)
