import fcntl
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from database.embedded import EmbeddedPostgresError, Server, start
from database.embedded_binaries import find_binaries
from database.embedded_process import server_processes
from tests.postgres import PREFIX, create_database, drop_database, ensure_template, new_home, remove_home

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 5.0

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a stand-in user")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

OWNER = """
import sys
from pathlib import Path
from database.embedded import start
server = start(Path(sys.argv[1]))
print(server.url, server.owned, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home for one server."""
    home = new_home()
    yield home
    remove_home(home)


@pytest.fixture(scope="session")
def pattern() -> Iterator[Path]:
    """A home whose data is made, to be copied."""
    home = new_home()
    start(home, durable=False).stop()
    yield home
    remove_home(home)


@pytest.fixture
def made(home: Path, pattern: Path) -> Path:
    """A home of its own whose data is made."""
    subprocess.run(["cp", "-a", f"{pattern}/.", str(home)], check=True)
    return home


@pytest.fixture
def hidden() -> Iterator[Path]:
    """A directory that nobody but its owner can enter, and a home name in it."""
    outer = new_home()
    outer.chmod(0o700)
    yield outer / "home"
    for note in outer.glob("*/place"):
        remove_home(note.parent)
    shutil.rmtree(outer)


@contextmanager
def another_process(home: Path, command: tuple[str, ...] = (sys.executable,)) -> Iterator[tuple[int, str, bool]]:
    """A process that starts or joins the server of `home` and keeps it: its id, the URL, whether it owns."""
    process = subprocess.Popen(
        [*command, "-c", OWNER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert process.stdout is not None
    try:
        url, owned = process.stdout.readline().split()
        yield process.pid, url, owned == "True"
    finally:
        process.communicate(timeout=30)


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether the condition comes true within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def one(url: str, statement: str) -> object:
    """The one value that the statement answers."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return None if row is None else row[0]


def accepts(url: str) -> bool:
    """Whether the server answers now."""
    try:
        return one(url, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def commit_rows(url: str) -> None:
    """A table `kept` of 1000 rows."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")


def kept_rows(url: str) -> object:
    """How many of them are there."""
    return one(url, "SELECT count(*) FROM kept")


def postmaster_of(data: Path) -> int:
    """The process id of the running server."""
    return int((data / "postmaster.pid").read_text().splitlines()[0])


def parent_of(process: int) -> int:
    """The process id of the parent; that of a postmaster is the supervisor."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def has_ended(process: int) -> bool:
    """Whether the process runs no more; init may take its time to bury it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_start_and_stop(home: Path) -> None:
    """A server comes up on the loopback address alone with the database made, and its stop ends it and keeps rows."""
    with start(home) as server:
        assert server.owned
        assert server.url.startswith("postgresql://salesmatter:")
        assert server.url.endswith("/salesmatter")
        assert one(server.url, "SELECT current_user || current_setting('listen_addresses')") == "salesmatter127.0.0.1"
        assert one(server.url, "SELECT current_setting('TimeZone') || lower('ÉA')") == "UTCéa"
        assert one(server.url, "SELECT current_setting('fsync') || current_setting('synchronous_commit')") == "onon"
        commit_rows(server.url)
        for secret in ("password", "lock", "server.json", "postgres.log"):
            assert stat.S_IMODE((home / secret).stat().st_mode) == 0o600
    assert not accepts(server.url)
    assert not server_processes(str(home / "data"))
    assert not (home / "server.json").exists()
    server.stop()
    with start(home) as again:
        assert kept_rows(again.url) == 1000


def test_join(made: Path) -> None:
    """Who asks second, in another process or in the same, joins the server, and cannot end it."""
    with start(made, durable=False) as server:
        with another_process(made) as (_, url, owned):
            assert (url, owned) == (server.url, False)
        joined = start(made, database="another name")
        assert not joined.owned
        joined.stop()
        assert one(joined.url, "SELECT current_database()") == "another name"
        assert accepts(server.url)


def test_started_together(home: Path) -> None:
    """Of several that start at the same moment exactly one owns the server, and the thread that did may end."""
    servers: list[Server] = []
    threads = [
        threading.Thread(target=lambda: servers.append(start(home, durable=False, patience=30))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(server.owned for server in servers) == [False, False, False, True]
    assert {accepts(server.url) for server in servers} == {True}
    for server in servers:
        server.stop()
    assert not accepts(servers[0].url)


@on_linux
def test_killed_owner(made: Path) -> None:
    """A killed owner leaves no process behind, and what it committed is there for the next one."""
    with another_process(made) as (owner, url, owned):
        assert owned
        commit_rows(url)
        supervisor = parent_of(postmaster_of(made / "data"))
        os.kill(owner, signal.SIGKILL)
        assert eventually(lambda: not server_processes(str(made / "data")) and has_ended(supervisor))
    with start(made) as server:
        assert server.owned
        assert kept_rows(server.url) == 1000


@on_linux
def test_killed_postgres(made: Path) -> None:
    """A killed Postgres comes back under the same URL with all that was committed, though a backend was at work."""
    with start(made) as server:
        commit_rows(server.url)
        endless = "DO 'BEGIN LOOP END LOOP; END'"
        running = f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = $${endless}$$"

        def kill_when_busy() -> None:
            if eventually(lambda: one(server.url, running) == 1):
                os.kill(postmaster_of(made / "data"), signal.SIGKILL)

        with psycopg.connect(server.url, autocommit=True) as busy:
            killer = threading.Thread(target=kill_when_busy)
            killer.start()
            with pytest.raises(psycopg.OperationalError):
                busy.execute(endless)
            killer.join()
        assert eventually(lambda: accepts(server.url))
        assert kept_rows(server.url) == 1000


@on_linux
def test_killed_supervisor(made: Path) -> None:
    """A killed supervisor is replaced by its owner under the same URL."""
    with start(made) as server:
        commit_rows(server.url)
        postmaster = postmaster_of(made / "data")
        os.kill(parent_of(postmaster), signal.SIGKILL)
        assert eventually(lambda: accepts(server.url) and postmaster_of(made / "data") != postmaster)
        assert kept_rows(server.url) == 1000
    assert not server_processes(str(made / "data"))


@on_linux
def test_all_killed(made: Path) -> None:
    """With owner, supervisor and Postgres killed at once, the next start recovers every committed row."""
    with another_process(made) as (owner, url, _):
        commit_rows(url)
        postmaster = postmaster_of(made / "data")
        for process in (owner, parent_of(postmaster), postmaster):
            os.kill(process, signal.SIGKILL)
    with start(made) as server:
        assert kept_rows(server.url) == 1000


@on_linux
def test_killed_supervisor_without_owner(made: Path) -> None:
    """The kernel ends Postgres when nobody is left who could."""
    with another_process(made) as (owner, _, _):
        supervisor = parent_of(postmaster_of(made / "data"))
        os.kill(owner, signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        assert eventually(lambda: not server_processes(str(made / "data")))
        os.kill(owner, signal.SIGKILL)


def test_two_homes(home: Path) -> None:
    """Two homes have two servers, and one's password is nothing to the other."""
    other = new_home()
    try:
        with start(home, durable=False) as first, start(other, durable=False) as second:
            assert accepts(first.url)
            assert accepts(second.url)
            assert first.url != second.url
            assert (home / "password").read_text() != (other / "password").read_text()
    finally:
        remove_home(other)


def test_odd_path(home: Path) -> None:
    """Spaces, letters beyond ASCII and more length than a socket path may have do no harm."""
    odd = home / "my data über" / ("long" * 30)
    for directory in (odd.parent, odd):
        directory.mkdir()
        directory.chmod(0o755)
    with start(odd, durable=False) as server:
        assert one(server.url, "SELECT current_setting('data_directory')") == str(odd / "data")


def test_passwords(made: Path) -> None:
    """A wrong password and none are refused over the only way in, and none is stored in the clear."""
    with start(made, durable=False) as server:
        for pretender in ("salesmatter:guess@", "salesmatter@", "postgres@"):
            address = f"postgresql://{pretender}{server.url.partition('@')[2]}"
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(address, connect_timeout=5, passfile=os.devnull)
        assert str(one(server.url, "SELECT rolpassword FROM pg_authid WHERE rolcanlogin")).startswith("SCRAM-SHA-256$")
        assert one(server.url, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0


def test_taken_lock(home: Path) -> None:
    """An owner that never gets ready is reported in a sentence that names the home."""
    (home / "server.json").write_text(json.dumps({"port": 1}))
    (home / "password").write_text("stale")
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedPostgresError, match=f"Another process holds the embedded Postgres of {home}"):
            start(home, patience=0.1)


def test_half_made_data(home: Path) -> None:
    """An initdb that was cut short does not count and is cleared away; a damaged data directory is refused."""
    left = home / "data.new-cut-short" / "data"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text("18\n")
    with start(home, durable=False) as server:
        assert accepts(server.url)
    assert not left.exists()
    (home / "data" / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedPostgresError, match="not a whole Postgres data directory: delete"):
        start(home)


def test_other_version_and_lost_password(made: Path) -> None:
    """Data of another major version and data without its password are refused with the way out."""
    version = made / "data" / "PG_VERSION"
    version.write_text("14\n")
    with pytest.raises(EmbeddedPostgresError, match=r"was made by Postgres 14 and .* holds Postgres \d+: use programs"):
        start(made)
    version.write_text("18\n")
    (made / "password").unlink()
    with pytest.raises(EmbeddedPostgresError, match="is missing: delete"):
        start(made)
    assert not (made / "server.json").exists()


def test_wrong_programs(home: Path) -> None:
    """A directory without Postgres, and programs that are not Postgres, are named in a sentence."""
    with pytest.raises(EmbeddedPostgresError, match=r"elsewhere is no directory of Postgres programs: postgres is not"):
        start(home, bin_dir=home / "elsewhere")
    false = home / "bin"
    false.mkdir()
    false.chmod(0o755)
    for program in ("postgres", "initdb"):
        (false / program).write_text("#!/bin/sh\necho sorry >&2\nexit 1\n")
        (false / program).chmod(0o755)
    with pytest.raises(EmbeddedPostgresError, match=r"bin/postgres does not run here: sorry"):
        start(home, bin_dir=false)


def test_unusable_home(home: Path) -> None:
    """A home that cannot be a directory is reported in a sentence."""
    (home / "file").write_text("")
    with pytest.raises(EmbeddedPostgresError, match="cannot be prepared: Not a directory"):
        start(home / "file" / "home")


def test_broken_start(made: Path) -> None:
    """When Postgres does not start, its own reason is in the sentence, and the home is free for the next try."""
    settings = made / "data" / "postgresql.conf"
    whole = settings.read_text()
    settings.write_text(whole + "\nno_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match=r"does not start: configuration file .* contains errors"):
        start(made, durable=False)
    settings.write_text(whole)
    with start(made, durable=False) as server:
        assert accepts(server.url)


@as_root
def test_home_of_another_user(home: Path) -> None:
    """A home that an ordinary user made is refused to root, with both names."""
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    with pytest.raises(EmbeddedPostgresError, match="belongs to the user nobody and this is root"):
        start(home)


@as_root
def test_hidden_home(hidden: Path) -> None:
    """Under root a home that the stand-in user cannot reach has its data elsewhere, and takes it along when moved."""
    with start(hidden, durable=False) as server:
        place = Path((hidden / "place").read_text().splitlines()[0])
        assert one(server.url, "SELECT current_setting('data_directory')") == str(place / "data")
        assert (place.stat().st_uid, stat.S_IMODE(place.stat().st_mode)) == (0, 0o711)
        commit_rows(server.url)
    moved = hidden.rename(hidden.with_name("moved"))
    with start(moved, durable=False) as server:
        assert kept_rows(server.url) == 1000
    assert not place.exists()
    shutil.copytree(moved, hidden)
    with start(moved, durable=False) as first, start(hidden, durable=False) as copy:
        assert copy.owned
        assert one(copy.url, "SELECT to_regclass('kept')") is None
        assert kept_rows(first.url) == 1000


@as_root
def test_deleted_hidden_home(hidden: Path) -> None:
    """A home made anew where one was deleted starts empty, whatever its predecessor left in the shelter."""
    with start(hidden, durable=False) as server:
        commit_rows(server.url)
    shutil.rmtree(hidden)
    with start(hidden, durable=False) as server:
        assert one(server.url, "SELECT to_regclass('kept')") is None


@as_root
def test_hidden_programs(hidden: Path, home: Path) -> None:
    """Under root, programs that the stand-in user cannot read are copied to where it can, once."""
    whole = find_binaries(None).parents[1]
    tree = hidden / whole.name / "pginstall"
    shutil.copytree(whole, tree.parent, ignore=shutil.ignore_patterns("include"))
    if whole.with_name(f"{whole.name}.libs").exists():
        shutil.copytree(whole.with_name(f"{whole.name}.libs"), hidden / f"{whole.name}.libs")
    with (tree / "bin" / "postgres").open("ab") as program:
        program.write(os.urandom(8))
    copy = None
    try:
        for _ in range(2):
            with start(home, bin_dir=tree / "bin", durable=False) as server:
                assert accepts(server.url)
                used = Path(f"/proc/{postmaster_of(home / 'data')}/exe").readlink().parents[4]
                assert used.name.startswith("salesmatter-postgres-")
                made = (used / "copy").stat().st_ino
                assert copy in (None, (used, made))
                copy = (used, made)
    finally:
        if copy is not None:
            shutil.rmtree(copy[0])


@as_root
def test_ordinary_user(home: Path) -> None:
    """An ordinary user starts, uses and ends a server in a home of their own."""
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    libraries = os.pathsep.join([str(REPOSITORY), str(find_binaries(None).parents[2])])
    drop = shutil.which("setpriv")
    if drop is None:
        pytest.skip("setpriv is not installed")
    for python in (sys.executable, "/usr/bin/python3"):
        command: tuple[str, ...] = (drop, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
        command += ("/usr/bin/env", f"PYTHONPATH={libraries}", "PYTHONDONTWRITEBYTECODE=1", python)
        probe = [*command, "-c", "import database.embedded"]
        if subprocess.run(probe, check=False, capture_output=True, cwd=REPOSITORY).returncode == 0:
            break
    else:
        pytest.skip("no Python that the user nobody can run has the packages")
    with another_process(home, command) as (_, url, owned):
        assert owned
        commit_rows(url)
        assert one(url, "SELECT current_setting('data_directory')") == str(home / "data")
        assert Path(f"/proc/{postmaster_of(home / 'data')}").stat().st_uid == nobody.pw_uid
    assert not server_processes(str(home / "data"))


def test_databases_from_a_template(postgres_url: str) -> None:
    """The template is built once, and databases cloned from it are apart from each other."""
    built: list[str] = []

    def build(url: str) -> None:
        built.append(url)
        commit_rows(url)

    names = [f"clone_{os.getpid()}_{number}" for number in range(2)]
    template = f"template_{os.getpid()}"
    for _ in range(2):
        assert ensure_template(postgres_url, template, build) == template
    try:
        first, second = (create_database(postgres_url, name, template) for name in names)
        with psycopg.connect(first) as connection:
            connection.execute("DELETE FROM kept")
        assert (kept_rows(first), kept_rows(second), len(built)) == (0, 1000, 1)
    finally:
        for name in names:
            drop_database(postgres_url, name)


def test_leftover_homes_are_swept(made: Path) -> None:
    """The data of a killed run goes when the next run begins; that of a running one stays."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    alive = new_home()
    left = alive.with_name(f"{PREFIX}{gone.pid}-left")
    (left / "data").mkdir(parents=True)
    with start(made, durable=False) as server:
        remove_home(new_home())
        assert not left.exists()
        assert alive.exists()
        assert accepts(server.url)
    remove_home(alive)
