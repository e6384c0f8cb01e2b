import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from database.embedded import EmbeddedPostgresError, start
from database.embedded_binaries import find_binaries
from database.embedded_process import server_processes
from tests import ROOT
from tests.database.embedded.processes import (
    accepts,
    another_process,
    as_root,
    commit_rows,
    kept_rows,
    one,
    postmaster_of,
)
from tests.postgres import PREFIX, new_home, remove_home


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
    libraries = os.pathsep.join([str(ROOT), str(find_binaries(None).parents[2])])
    drop = shutil.which("setpriv")
    if drop is None:
        pytest.skip("setpriv is not installed")
    for python in (sys.executable, "/usr/bin/python3"):
        command: tuple[str, ...] = (drop, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
        command += ("/usr/bin/env", f"PYTHONPATH={libraries}", "PYTHONDONTWRITEBYTECODE=1", python)
        probe = [*command, "-c", "import database.embedded"]
        if subprocess.run(probe, check=False, capture_output=True, cwd=ROOT).returncode == 0:
            break
    else:
        pytest.skip("no Python that the user nobody can run has the packages")
    with another_process(home, command) as (_, url, owned):
        assert owned
        commit_rows(url)
        assert one(url, "SELECT current_setting('data_directory')") == str(home / "data")
        assert Path(f"/proc/{postmaster_of(home / 'data')}").stat().st_uid == nobody.pw_uid
    assert not server_processes(str(home / "data"))


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
