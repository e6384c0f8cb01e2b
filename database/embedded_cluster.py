"""Creates and checks the home, data directory and password of an embedded Postgres."""

import errno
import hashlib
import os
import pwd
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from database.embedded_binaries import (
    SHARED_DIRECTORY,
    EmbeddedPostgresError,
    UnprivilegedUser,
    create_root_directory,
    ensure_readable_binaries,
    find_binaries,
    find_error_line,
    find_unprivileged_user,
    is_traversable,
    parse_major_version,
    read_version,
    run_program,
)

SUPERUSER = "salesmatter"
BUILTIN_LOCALES_SINCE = 17


@dataclass(frozen=True)
class Cluster:
    """A data directory and the matching programs; `unprivileged_user` is set when root starts the server."""

    home: Path
    data_parent: Path
    binaries: Path
    major: int
    unprivileged_user: UnprivilegedUser | None

    @property
    def data(self) -> Path:
        """The data directory of Postgres."""
        return self.data_parent / "data"

    @property
    def log(self) -> Path:
        """The log file of Postgres; the previous log ends in `.log.1`."""
        return self.home / "postgres.log"

    @property
    def announcement(self) -> Path:
        """The file that contains the port for other processes; it exists while the server accepts connections."""
        return self.home / "server.json"


@contextmanager
def translate_os_errors(home: Path) -> Iterator[None]:
    """Raise an OSError of the block as an EmbeddedPostgresError."""
    try:
        yield
    except OSError as error:
        path = error.filename or home
        reasons = {
            errno.ENOSPC: f"The disk of {home} is full. Free some space for the embedded Postgres.",
            errno.EDQUOT: f"The disk quota of {home} is used up. Free some space for the embedded Postgres.",
            errno.EROFS: f"{path} is on a read-only file system. The embedded Postgres needs a writable directory.",
            errno.EACCES: f"Permission denied for {path}. The embedded Postgres needs access to {home}.",
            errno.EPERM: f"Permission denied for {path}. The embedded Postgres needs access to {home}.",
        }
        other = f"The embedded Postgres in {home} cannot be prepared: {error.strerror} ({path})."
        raise EmbeddedPostgresError(reasons.get(error.errno or 0, other)) from error


def create_home(home: Path) -> Path:
    """Return the real path of the home; creates it when missing, private to the current user."""
    with translate_os_errors(home):
        if not home.exists():
            home.mkdir(parents=True, exist_ok=True)
            home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        owner = home.stat().st_uid
        if owner != os.geteuid():
            raise EmbeddedPostgresError(
                f"{home} belongs to the user {_user_name(owner)}, and this is {_user_name(os.geteuid())}. "
                "Run as the owner, or delete the directory and its data."
            )
        return home.resolve(strict=True)


def read_password(home: Path) -> str:
    """Return the password of the superuser."""
    return (home / "password").read_text(encoding="ascii").strip()


def write_private_file(path: Path, text: str) -> None:
    """Write a file atomically that only its owner can read."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def prepare_cluster(home: Path, bin_dir: Path | None) -> Cluster:
    """Choose the data directory, programs and user; the caller must own the lock of the home."""
    binaries = find_binaries(bin_dir)
    user, data_parent = None, home
    if os.geteuid() == 0:
        user = find_unprivileged_user()
        data_parent = _find_data_parent_under_root(home)
        binaries = ensure_readable_binaries(binaries)
    return Cluster(home, data_parent, binaries, parse_major_version(read_version(binaries, user)), user)


def ensure_data(cluster: Cluster, *, durable: bool, inherited_fds: tuple[int, ...] = ()) -> None:
    """Create the data directory when it is missing; refuse one that does not match.

    initdb writes to a temporary directory that is renamed when complete. It inherits the file descriptors
    `inherited_fds`, so that the home stays locked while it runs, even when this process ends.
    """
    data, password = cluster.data, cluster.home / "password"
    for leftover in cluster.data_parent.glob("data.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if data.exists():
        _check_data(cluster, password)
        return
    if not password.exists():
        write_private_file(password, secrets.token_urlsafe(24) + "\n")
    fresh = Path(tempfile.mkdtemp(dir=cluster.data_parent, prefix="data.new-"))
    try:
        secret = fresh / "password"
        shutil.copyfile(password, secret)
        secret.chmod(0o600)
        (fresh / "data").mkdir(mode=0o700)
        if cluster.unprivileged_user is not None:
            for path in (fresh, secret, fresh / "data"):
                os.chown(path, cluster.unprivileged_user.user, cluster.unprivileged_user.group)
        _initdb(cluster, fresh / "data", secret, durable=durable, inherited_fds=inherited_fds)
        (fresh / "data").rename(data)
        if durable:
            _sync_directory(cluster.data_parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _initdb(cluster: Cluster, data: Path, secret: Path, *, durable: bool, inherited_fds: tuple[int, ...]) -> None:
    command = [str(cluster.binaries / "initdb"), f"--pgdata={data}", f"--username={SUPERUSER}", f"--pwfile={secret}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions", "--locale=C"]
    if cluster.major >= BUILTIN_LOCALES_SINCE:
        # Upper and lower case of non-ASCII letters are then the same on every machine.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not durable:
        command.append("--no-sync")
    result = run_program(command, cluster.unprivileged_user, inherited_fds)
    if result.returncode != 0:
        output = result.stdout + result.stderr
        if "No space left" in output:
            raise EmbeddedPostgresError(
                f"The disk of {cluster.data_parent} is full. Free some space: {_find_initdb_error(output)}"
            )
        raise EmbeddedPostgresError(
            f"initdb could not create a database in {cluster.data_parent}: {_find_initdb_error(output)}"
        )


def _find_initdb_error(output: str) -> str:
    """Return the error of initdb, without its messages about the cleanup."""
    lines = [line for line in output.splitlines() if "removing" not in line and "child process exited" not in line]
    return find_error_line("\n".join(lines))


def _check_data(cluster: Cluster, password: Path) -> None:
    version_file = cluster.data / "PG_VERSION"
    directories = (
        str(cluster.home) if cluster.data_parent == cluster.home else f"{cluster.home} and {cluster.data_parent}"
    )
    reset = f"delete {directories} to start with an empty database"
    if not version_file.is_file() or not (cluster.data / "global" / "pg_control").is_file():
        raise EmbeddedPostgresError(f"{cluster.data} is not a complete Postgres data directory: {reset}.")
    if not password.is_file():
        raise EmbeddedPostgresError(f"The password file of the embedded Postgres, {password}, is missing: {reset}.")
    data_version = version_file.read_text(encoding="ascii", errors="replace").strip()
    if data_version != str(cluster.major):
        raise EmbeddedPostgresError(
            f"{cluster.data} was created by Postgres {data_version}, and {cluster.binaries} is Postgres "
            f"{cluster.major}: use the programs of Postgres {data_version}, or {reset}."
        )


def _find_data_parent_under_root(home: Path) -> Path:
    """Return the home when the unprivileged user can reach it, otherwise a subdirectory of the shared directory.

    The file `place` in the home stores that subdirectory and the home it was created for: a copied home gets a
    subdirectory of its own, a moved home takes its data along.
    """
    location = home / "place"
    stored = location.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if location.exists() else []
    if not stored and ((home / "data").exists() or is_traversable(home)):
        return home
    data_parent = SHARED_DIRECTORY / f"salesmatter-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"
    if stored == [str(data_parent), str(home)]:
        create_root_directory(data_parent)
        return data_parent
    if (data_parent / "data").exists():
        # The home that this data belonged to was deleted, together with the password.
        shutil.rmtree(data_parent / "data.old", ignore_errors=True)
        (data_parent / "data").rename(data_parent / "data.old")
    create_root_directory(data_parent)
    if len(stored) > 1 and not Path(stored[1]).exists() and Path(stored[0], "data").is_dir():
        create_root_directory(Path(stored[0]))
        Path(stored[0], "data").rename(data_parent / "data")
        shutil.rmtree(stored[0], ignore_errors=True)
    write_private_file(location, f"{data_parent}\n{home}\n")
    return data_parent


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
