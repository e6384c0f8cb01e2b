"""Any history of sends, changes of addresses, imports, deletions and noes: no mail goes out after its no."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.trials.history import Stage, stage
from tests.trials.operations import Operation, plots
from tests.trials.persons import SPELLINGS

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

__all__ = ["stage"]


@settings(max_examples=8, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plot=plots())
async def test_no_mail_goes_out_after_its_no(stage: Stage, plot: tuple[list[list[str]], list[Operation]]) -> None:
    """Each person who said no gets no mail from any workspace of the account; all others do, and no step twice."""
    first, then = plot
    async with stage.begin() as history:
        for place, spellings in zip(history.places, first, strict=True):
            for spelling in spellings:
                await history.add_lead(place, spelling)
            await history.enroll_all(place, place.sequence_id)
        for operation in then:
            await operation.play(history)
            await history.check_suppressions()
        await history.check_end(SPELLINGS[::2])
