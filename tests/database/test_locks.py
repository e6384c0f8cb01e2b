import asyncio
import fcntl
import os
import shutil
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from database import embedded, embedded_binaries
from database.jobs import archive_jobs
from database.migrate import MIGRATION_LOCK, migrate
from database.roles import owner_url
from tests.blocking import Blocking, prove_file_lock
from tests.database.rows import NOW


@pytest.mark.anyio
@pytest.mark.locks("database.jobs:_ARCHIVE")
async def test_a_locked_job_is_not_archived(blocking: Blocking) -> None:
    """Archiving skips a locked job without waiting, and archives the others."""
    blocking.run("DELETE FROM app.scheduled_jobs")
    locked, free = (
        blocking.add("app.scheduled_jobs", id=UUID(int=number), status="completed", completed_at=NOW)
        for number in (1, 2)
    )
    await blocking.prove_skipped(
        "app.scheduled_jobs",
        locked,
        lambda session: archive_jobs(
            session,
            after=UUID(int=0),
            age_seconds=60,
            before=NOW + timedelta(days=1),
            slots_before=NOW,
            most=10,
        ),
        is_engine=True,
    )
    assert blocking.run("SELECT id FROM app.scheduled_jobs") == [(locked,)]
    assert (free,) in blocking.run("SELECT id FROM app.archived_jobs")


@pytest.mark.anyio
@pytest.mark.locks("database.migrate:migrate")
async def test_a_migration_waits_for_another(blocking: Blocking) -> None:
    """A migration waits until a running one ends."""
    blocking.run("SELECT pg_advisory_lock_shared(%s)", MIGRATION_LOCK)
    migrating = asyncio.create_task(asyncio.to_thread(migrate, owner_url(blocking.database_url)))
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database ="
    waits += " (SELECT oid FROM pg_database WHERE datname = current_database())"
    for _ in range(2000):
        if migrating.done() or blocking.run(waits) == [(1,)]:
            break
        await asyncio.wait({migrating}, timeout=0.01)
    assert not migrating.done()
    blocking.run("SELECT pg_advisory_unlock_shared(%s)", MIGRATION_LOCK)
    await migrating


@pytest.mark.locks("database.embedded:_try_lock_home")
def test_a_home_has_one_owner(tmp_path: Path) -> None:
    """Locking a locked home fails without waiting; locking a free home succeeds."""
    with (tmp_path / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert embedded._try_lock_home(tmp_path) is None
    owner = embedded._try_lock_home(tmp_path)
    assert owner is not None
    try:
        assert embedded._try_lock_home(tmp_path) is None
    finally:
        os.close(owner)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's Postgres runs as another user")
@pytest.mark.locks("database.embedded_binaries:ensure_readable_binaries")
def test_programs_are_copied_by_one_process(tmp_path: Path) -> None:
    """A process that needs a readable copy of the programs waits for the process that creates it."""
    tree = tmp_path / "site-packages" / "postgres" / "tree"
    for folder in ("bin", "lib", "share"):
        (tree / folder).mkdir(parents=True)
    for program in ("postgres", "initdb"):
        (tree / "bin" / program).write_text(f"#!/bin/sh\n# {tmp_path}\necho '{program} (PostgreSQL) 18.0'\n")
        (tree / "bin" / program).chmod(0o700)
    copied = embedded_binaries.ensure_readable_binaries(tree / "bin")
    made = copied.parents[len(copied.relative_to(embedded_binaries.SHARED_DIRECTORY).parts) - 2]
    try:
        (copied / "initdb").unlink()
        again = prove_file_lock(made / "lock", lambda: embedded_binaries.ensure_readable_binaries(tree / "bin"))
        assert again == copied
        assert (copied / "initdb").exists()
    finally:
        shutil.rmtree(made)
