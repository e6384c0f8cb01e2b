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
from database.embedded_process import find_server_processes
from tests import ROOT
from tests.database.embedded.processes import (
    accepts_connections,
    commit_rows,
    count_rows,
    fetch_value,
    needs_root,
    read_postmaster_id,
    start_in_another_process,
)
from tests.postgres import PREFIX, new_home, remove_home


def test_two_homes(home: Path) -> None:
    """Two homes have two servers with different passwords."""
    other = new_home()
    try:
        with start(home, durable=False) as first, start(other, durable=False) as second:
            assert accepts_connections(first.url)
            assert accepts_connections(second.url)
            assert first.url != second.url
            assert (home / "password").read_text() != (other / "password").read_text()
    finally:
        remove_home(other)


def test_odd_path(home: Path) -> None:
    """A home path may have spaces and non-ASCII letters, and may be longer than a socket path."""
    odd = home / "my data über" / ("long" * 30)
    for directory in (odd.parent, odd):
        directory.mkdir()
        directory.chmod(0o755)
    with start(odd, durable=False) as server:
        assert fetch_value(server.url, "SELECT current_setting('data_directory')") == str(odd / "data")


@needs_root
def test_home_of_another_user(home: Path) -> None:
    """Root is refused the home of an ordinary user; the error names both users."""
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    with pytest.raises(EmbeddedPostgresError, match="belongs to the user nobody, and this is root"):
        start(home)


@needs_root
def test_hidden_home(hidden_home: Path) -> None:
    """Under root, a home that the unprivileged user cannot reach has its data elsewhere, and keeps it when moved."""
    with start(hidden_home, durable=False) as server:
        data_parent = Path((hidden_home / "place").read_text().splitlines()[0])
        assert fetch_value(server.url, "SELECT current_setting('data_directory')") == str(data_parent / "data")
        assert (data_parent.stat().st_uid, stat.S_IMODE(data_parent.stat().st_mode)) == (0, 0o711)
        commit_rows(server.url)
    moved = hidden_home.rename(hidden_home.with_name("moved"))
    with start(moved, durable=False) as server:
        assert count_rows(server.url) == 1000
    assert not data_parent.exists()
    shutil.copytree(moved, hidden_home)
    with start(moved, durable=False) as first, start(hidden_home, durable=False) as copy:
        assert copy.is_owned
        assert fetch_value(copy.url, "SELECT to_regclass('kept')") is None
        assert count_rows(first.url) == 1000


@needs_root
def test_deleted_hidden_home(hidden_home: Path) -> None:
    """A new home at the path of a deleted one starts empty, although the old data remains in the shared directory."""
    with start(hidden_home, durable=False) as server:
        commit_rows(server.url)
    shutil.rmtree(hidden_home)
    with start(hidden_home, durable=False) as server:
        assert fetch_value(server.url, "SELECT to_regclass('kept')") is None


@needs_root
def test_hidden_programs(hidden_home: Path, home: Path) -> None:
    """Under root, programs that the unprivileged user cannot read are copied once."""
    package = find_binaries(None).parents[1]
    tree = hidden_home / package.name / "pginstall"
    shutil.copytree(package, tree.parent, ignore=shutil.ignore_patterns("include"))
    if package.with_name(f"{package.name}.libs").exists():
        shutil.copytree(package.with_name(f"{package.name}.libs"), hidden_home / f"{package.name}.libs")
    with (tree / "bin" / "postgres").open("ab") as program:
        program.write(os.urandom(8))
    copy = None
    try:
        for _ in range(2):
            with start(home, bin_dir=tree / "bin", durable=False) as server:
                assert accepts_connections(server.url)
                used = Path(f"/proc/{read_postmaster_id(home / 'data')}/exe").readlink().parents[4]
                assert used.name.startswith("salesmatter-postgres-")
                inode = (used / "copy").stat().st_ino
                assert copy in (None, (used, inode))
                copy = (used, inode)
    finally:
        if copy is not None:
            shutil.rmtree(copy[0])


@needs_root
def test_ordinary_user(home: Path) -> None:
    """An ordinary user starts, uses and stops a server in their own home."""
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
    with start_in_another_process(home, command) as (_, url, owned):
        assert owned
        commit_rows(url)
        assert fetch_value(url, "SELECT current_setting('data_directory')") == str(home / "data")
        assert Path(f"/proc/{read_postmaster_id(home / 'data')}").stat().st_uid == nobody.pw_uid
    assert not find_server_processes(str(home / "data"))


def test_leftover_homes_are_deleted(home_with_data: Path) -> None:
    """The next run deletes the data of a killed run, and keeps that of a running one."""
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    alive = new_home()
    leftover = alive.with_name(f"{PREFIX}{ended.pid}-left")
    (leftover / "data").mkdir(parents=True)
    with start(home_with_data, durable=False) as server:
        remove_home(new_home())
        assert not leftover.exists()
        assert alive.exists()
        assert accepts_connections(server.url)
    remove_home(alive)
