"""The breaker against a model written from its documentation, over any order of calls, ends and losses."""

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

from domain.breaker import Everything, Kind, News, Nothing, OneProbe, State, admits, after
from tests.breaker_model import Call, Model

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class BreakerMachine(RuleBasedStateMachine):
    """Calls begin, end in any order and any way, or are lost, while time passes."""

    calls: Bundle[Call] = Bundle("calls")

    @initialize()
    def start(self) -> None:
        """Nothing is known of the provider yet."""
        self.now, self.state, self.model = START, State(), Model()

    @rule(seconds=st.sampled_from([0.1, 1, 4.9, 5, 10, 60, 119.9, 120, 300, 3600]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    @rule()
    def wait_for_the_end_of_the_block(self) -> None:
        """Let time pass until the moment at which the block ends."""
        self.now = max(self.now, self.model.block or self.now)

    @rule(target=calls)
    def call(self) -> Call | MultipleResults[Call]:
        """Ask to make a call, as a worker does: a probe's hold becomes the block."""
        admitted = admits(self.state.failures, self.state.blocked_until, self.now)
        match self.model.lets_through(self.now):
            case "none":
                assert admitted == Nothing(self.model.block or self.now)
                return multiple()
            case "one":
                assert admitted == OneProbe(self.now + 2 * MINUTE)
                self.state = State(self.state.failures, self.now + 2 * MINUTE)
                self.model = self.model.probe(self.now)
                return Call(self.model.block, is_probe=True)
            case _:
                assert admitted == Everything()
                return Call(None, is_probe=False)

    def end(self, call: Call, kind: Kind, retry_after: float | None = None) -> None:
        """Tell how a call ended."""
        self.state = after(self.state, News(kind, call.seen, retry_after), self.now)
        self.model = self.model.end(call, kind, retry_after, self.now)

    @rule(
        call=consumes(calls),
        kind=st.sampled_from(Kind),
        retry_after=st.none() | st.sampled_from([0.0, 1.0, 5.0, 6.0, 120.0, 3600.0, 86_400.0, 86_401.0]),
    )
    def end_a_call(self, call: Call, kind: Kind, retry_after: float | None) -> None:
        """Let a call end, late or in time."""
        self.end(call, kind, retry_after)

    @rule(call=consumes(calls))
    def lose_a_call(self, call: Call) -> None:
        """Let the worker of a call be lost: nobody ever tells how it ended, and the hold of a probe runs out."""

    @rule(times=st.integers(3, 12))
    def fail_in_a_row(self, times: int) -> None:
        """Let calls fail one after the other, each as soon as it may be made."""
        for _ in range(times):
            self.wait_for_the_end_of_the_block()
            call = self.call()
            assert isinstance(call, Call)
            self.end(call, Kind.FAILED)
            self.agree()

    @invariant()
    def agree(self) -> None:
        """The code and the model let the same calls through until the same moment, and count the same troubles."""
        assert self.state.blocked_until == self.model.block
        assert self.state.failures == self.model.troubles


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None, derandomize=True)
