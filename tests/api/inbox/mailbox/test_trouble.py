import socket
from datetime import datetime, timedelta

import psycopg
import pytest

from database.secrets import SecretBox
from tests.api.inbox.mailbox.conftest import Box
from tests.api.inbox.mailbox.dovecot import PASSWORD

pytestmark = pytest.mark.anyio

LATER = timedelta(hours=2)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"password": "wrong"}, "refuses the user name or the password"),
        ({"password": "wröng"}, "refuses the user name or the password"),
        ({"folder": "No such"}, "does not open the folder 'No such'"),
        ({"security": "starttls"}, "offers no STARTTLS"),
    ],
)
async def test_refusals_disable_the_mailbox(box: Box, wrong: dict[str, str], says: str) -> None:
    """After five refusals the mailbox is disabled with the error; with the right settings, reading continues."""
    shown = await box.put(**wrong)
    assert says in shown["lastError"]
    assert PASSWORD not in shown["lastError"]
    assert (shown["failures"], shown["polledAt"], shown["disabledAt"]) == (1, None, None)
    for _ in range(4):
        shown = await box.poll(LATER)
    assert shown["failures"] == 5
    assert shown["disabledAt"] is not None
    assert await box.polls() == []
    assert (await box.poll(LATER))["failures"] == 5

    box.deliver(box.answer("1"))
    shown = await box.put(readSince="2020-01-01")
    assert (shown["failures"], shown["lastError"], shown["disabledAt"]) == (0, None, None)
    assert len(await box.replies()) == 1


async def test_an_unavailable_server(box: Box) -> None:
    """An unavailable server is polled with a growing interval and without end; then new messages are read."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    shown = await box.put(port=port)
    first_day = shown["readSince"]
    waits = []
    for _ in range(8):
        (job,) = await box.polls()
        waits.append(datetime.fromisoformat(job["runAt"]) - box.clock.now())
        shown = await box.poll(LATER)
    assert "cannot be reached" in shown["lastError"]
    assert (shown["failures"], shown["disabledAt"]) == (9, None)
    minutes = [round(wait.total_seconds() / 60) for wait in waits]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60]

    box.deliver(box.answer("1"))
    box.clock.virtual_start += timedelta(days=1)
    shown = await box.put()
    assert (shown["failures"], shown["lastError"], len(await box.replies())) == (0, None, 1)
    assert shown["readSince"] == first_day


async def test_only_refusals_disable_the_mailbox(box: Box) -> None:
    """Connection errors do not count as refusals."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    await box.put(port=port)
    for _ in range(6):
        await box.poll(LATER)
    shown = await box.put(password="wrong")
    assert (shown["failures"], shown["disabledAt"]) == (1, None)


async def test_a_lost_encryption_key(box: Box, database_url: str) -> None:
    """A password that cannot be decrypted is shown as the error, and blocks nothing else."""
    await box.put()
    unreadable = SecretBox("another key").encrypt(PASSWORD)
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute("UPDATE app.mailboxes SET encrypted_password = %s", [unreadable])
    shown = await box.poll()
    assert "SALESMATTER_SECRET_KEY" in shown["lastError"]
    assert len(await box.polls()) == 1
