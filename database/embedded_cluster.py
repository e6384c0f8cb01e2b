"""Where an embedded Postgres lives: its home, the place of its data, its password, made once and checked each time."""

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
    SHELTER,
    EmbeddedPostgresError,
    StandIn,
    find_binaries,
    major_of,
    passable,
    readable_binaries,
    root_directory,
    run_program,
    stand_in_of_root,
    telling_line,
    version_of,
)

SUPERUSER = "salesmatter"
BUILTIN_LOCALES_SINCE = 17


@dataclass(frozen=True)
class Cluster:
    """One data directory and the programs that fit it; `stand_in` when the starter is root."""

    home: Path
    place: Path
    binaries: Path
    major: int
    stand_in: StandIn | None

    @property
    def data(self) -> Path:
        """The data directory of Postgres."""
        return self.place / "data"

    @property
    def log(self) -> Path:
        """What Postgres says; the file before it ends in `.log.1`."""
        return self.home / "postgres.log"

    @property
    def announcement(self) -> Path:
        """The file that tells other processes the port, there while the server accepts connections."""
        return self.home / "server.json"


@contextmanager
def explained(home: Path) -> Iterator[None]:
    """Turn what the operating system says into an EmbeddedPostgresError."""
    try:
        yield
    except OSError as error:
        where = error.filename or home
        reasons = {
            errno.ENOSPC: f"The disk of {home} is full: free some space for the embedded Postgres.",
            errno.EDQUOT: f"The disk quota of {home} is used up: free some space for the embedded Postgres.",
            errno.EROFS: f"{where} is on a read-only file system: the embedded Postgres needs a place to write.",
            errno.EACCES: f"No permission to use {where}: the embedded Postgres needs {home} for itself.",
            errno.EPERM: f"No permission to use {where}: the embedded Postgres needs {home} for itself.",
        }
        plain = f"The embedded Postgres in {home} cannot be prepared: {error.strerror} ({where})."
        raise EmbeddedPostgresError(reasons.get(error.errno or 0, plain)) from error


def make_home(home: Path) -> Path:
    """The directory itself, absolute and real; made when missing, private to the user who made it."""
    with explained(home):
        if not home.exists():
            home.mkdir(parents=True, exist_ok=True)
            home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        owner = home.stat().st_uid
        if owner != os.geteuid():
            raise EmbeddedPostgresError(
                f"{home} belongs to the user {_user_name(owner)} and this is {_user_name(os.geteuid())}: "
                "run as the same user as before, or delete that directory (its data goes with it)."
            )
        return home.resolve(strict=True)


def password_of(home: Path) -> str:
    """The superuser's password."""
    return (home / "password").read_text(encoding="ascii").strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
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


def prepare(home: Path, bin_dir: Path | None) -> Cluster:
    """Settle place, programs and user. To be called by the holder of the home's lock."""
    binaries = find_binaries(bin_dir)
    stand_in, place = None, home
    if os.geteuid() == 0:
        stand_in = stand_in_of_root()
        place = _place_under_root(home)
        binaries = readable_binaries(binaries)
    return Cluster(home, place, binaries, major_of(version_of(binaries, stand_in)), stand_in)


def ensure_data(cluster: Cluster, *, durable: bool, keep: tuple[int, ...] = ()) -> None:
    """Make the data directory when there is none; refuse one that does not fit.

    It is made under another name and renamed when whole, so a half-made one never counts. `keep` are file
    descriptors that initdb inherits: the lock stays taken while it runs, even without its starter.
    """
    data, password = cluster.data, cluster.home / "password"
    for left in cluster.place.glob("data.new-*"):
        shutil.rmtree(left, ignore_errors=True)
    if data.exists():
        _check_data(cluster, password)
        return
    if not password.exists():
        write_private(password, secrets.token_urlsafe(24) + "\n")
    fresh = Path(tempfile.mkdtemp(dir=cluster.place, prefix="data.new-"))
    try:
        secret = fresh / "password"
        shutil.copyfile(password, secret)
        secret.chmod(0o600)
        (fresh / "data").mkdir(mode=0o700)
        if cluster.stand_in is not None:
            for path in (fresh, secret, fresh / "data"):
                os.chown(path, cluster.stand_in.user, cluster.stand_in.group)
        _initdb(cluster, fresh / "data", secret, durable=durable, keep=keep)
        (fresh / "data").rename(data)
        if durable:
            _sync_directory(cluster.place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _initdb(cluster: Cluster, data: Path, secret: Path, *, durable: bool, keep: tuple[int, ...]) -> None:
    command = [str(cluster.binaries / "initdb"), f"--pgdata={data}", f"--username={SUPERUSER}", f"--pwfile={secret}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions", "--locale=C"]
    if cluster.major >= BUILTIN_LOCALES_SINCE:
        # Letters beyond ASCII keep their upper and lower case on every machine.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not durable:
        command.append("--no-sync")
    result = run_program(command, cluster.stand_in, keep)
    if result.returncode != 0:
        output = result.stdout + result.stderr
        if "No space left" in output:
            raise EmbeddedPostgresError(
                f"The disk of {cluster.place} is full, no database can be made: {_fault(output)}"
            )
        raise EmbeddedPostgresError(f"initdb could not make a database in {cluster.place}: {_fault(output)}")


def _fault(output: str) -> str:
    """The fault itself, not what initdb says of its cleaning up."""
    lines = [line for line in output.splitlines() if "removing" not in line and "child process exited" not in line]
    return telling_line("\n".join(lines))


def _check_data(cluster: Cluster, password: Path) -> None:
    version_file = cluster.data / "PG_VERSION"
    both = str(cluster.home) if cluster.place == cluster.home else f"{cluster.home} and {cluster.place}"
    afresh = f"delete {both} to start afresh (the data goes with it)"
    if not version_file.is_file() or not (cluster.data / "global" / "pg_control").is_file():
        raise EmbeddedPostgresError(f"{cluster.data} is not a whole Postgres data directory: {afresh}.")
    if not password.is_file():
        raise EmbeddedPostgresError(f"The password of the embedded Postgres, {password}, is missing: {afresh}.")
    found = version_file.read_text(encoding="ascii", errors="replace").strip()
    if found != str(cluster.major):
        raise EmbeddedPostgresError(
            f"{cluster.data} was made by Postgres {found} and {cluster.binaries} holds Postgres {cluster.major}: "
            f"use programs of Postgres {found}, or {afresh}."
        )


def _place_under_root(home: Path) -> Path:
    """The home where the stand-in user can reach it, else a directory in the shelter.

    The note in the home names that directory, and the home it was made for: a copied home gets a place of its own,
    a moved one takes its data along.
    """
    note = home / "place"
    noted = note.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if note.exists() else []
    if not noted and ((home / "data").exists() or passable(home)):
        return home
    place = SHELTER / f"salesmatter-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"
    if noted == [str(place), str(home)]:
        root_directory(place)
        return place
    if (place / "data").exists():
        # The home it was made for is gone, and with it the password.
        shutil.rmtree(place / "data.old", ignore_errors=True)
        (place / "data").rename(place / "data.old")
    root_directory(place)
    if len(noted) > 1 and not Path(noted[1]).exists() and Path(noted[0], "data").is_dir():
        root_directory(Path(noted[0]))
        Path(noted[0], "data").rename(place / "data")
        shutil.rmtree(noted[0], ignore_errors=True)
    write_private(note, f"{place}\n{home}\n")
    return place


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
