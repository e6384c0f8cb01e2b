from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.unresolved_sends import repository
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 4, 10, tzinfo=UTC)


@pytest.mark.locks("api.delivery.unresolved_sends.repository:find_attempt")
async def test_an_attempt_is_locked_alone(blocking: Blocking) -> None:
    """Settling a send locks its attempt against every other lock."""
    draft_id, attempt_id = blocking.ids["app.email_drafts"], blocking.ids["app.send_attempts"]
    await blocking.prove_row_lock(
        "UPDATE",
        "app.send_attempts",
        [attempt_id],
        lambda session: repository.find_attempt(session, blocking.workspace_id, draft_id, lock=True),
    )


@pytest.mark.locks("api.delivery.unresolved_sends.repository:restore_claims")
async def test_leads_of_sends_proved_late_are_locked_by_id(blocking: Blocking) -> None:
    """Claiming again what was proved to be sent waits for a claim of the same leads, and locks the lower lead first."""
    pairs = blocking.add_lower_mail()
    blocking.run("DELETE FROM app.send_attempts")
    blocking.run("UPDATE app.email_drafts SET status = 'reviewed'")

    async def claim_again(session: AsyncSession) -> None:
        await repository.restore_claims(session, blocking.workspace_id, pairs["app.email_drafts"], "proved late", NOW)

    await blocking.prove_row_lock("NO KEY UPDATE", "app.leads", pairs["app.leads"], claim_again)
