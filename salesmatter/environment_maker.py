"""The steps of making `.venv`: an empty environment, the locked packages, the project itself."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

STAMP = "made-from.json"
OUT_OF_REACH = (
    "error sending request",
    "dns error",
    "failed to fetch",
    "max retries exceeded",
    "connection",
    "network",
    "name resolution",
    "no matching distribution",
    "not found in the package registry",
    "timed out",
    "certificate",
)
PASSED_ON_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}


class CannotMake(Exception):
    """The environment cannot be made; the text is a sentence for the person who ran make."""


class Checkout:
    """The places of one checkout that concern its environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"
        self.lock = root / "requirements.lock"
        self.project = root / "pyproject.toml"
        self.state = root / ".salesmatter"
        self.log = self.state / "environment.log"

    def made_from(self) -> dict[str, str]:
        """Say what a finished environment is made from; raises CannotMake when the checkout is incomplete."""
        try:
            digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.lock, self.project)}
        except OSError as error:
            raise CannotMake(f"{error.filename} cannot be read: {error.strerror}.") from error
        return {**digests, "root": str(self.root), "python": os.path.realpath(self.python)}

    def stamp(self) -> None:
        """Note in the finished environment what it was made from."""
        (self.venv / STAMP).write_text(json.dumps(self.made_from()), encoding="utf-8")

    def is_made(self) -> bool:
        """Whether the environment is finished and made from what the checkout says now."""
        try:
            stamp = json.loads((self.venv / STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(stamp == self.made_from()) and self.python.exists()

    def needs_project_only(self) -> bool:
        """Whether the packages are right and only pyproject.toml has changed."""
        try:
            stamp = json.loads((self.venv / STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool({**stamp, self.project.name: ""} == {**self.made_from(), self.project.name: ""})


class Maker:
    """Runs the steps; `turn` is the descriptor of the held lock."""

    def __init__(self, checkout: Checkout, turn: int) -> None:
        self.checkout, self._turn = checkout, turn
        checkout.log.write_bytes(b"")

    def make_venv(self, python: str) -> None:
        """Make an empty environment with pip, in place of what is there."""
        if self.checkout.venv.is_symlink():
            self.checkout.venv.unlink()
        elif self.checkout.venv.exists():
            shutil.rmtree(self.checkout.venv)
        code, output = self._run([python, "-m", "venv", str(self.checkout.venv)])
        if code == 0:
            return
        if "ensurepip" in output or "No module named venv" in output:
            raise CannotMake(
                f"{python} cannot make environments, because its venv module is not installed; "
                "on Debian and Ubuntu: apt install python3-venv."
            )
        raise self._failure("The environment could not be made", output)

    def install_packages(self) -> None:
        """Install what the lock names, each file checked against its hash: by uv, or by pip when uv cannot."""
        uv = self.checkout.venv / "uv.lock.txt"
        uv.write_text(block_of("uv", self.checkout.lock.read_text(encoding="utf-8")), encoding="utf-8")
        self._pip("--require-hashes", "--no-deps", "-r", str(uv))
        uv.unlink()
        index = index_settings(self._pip_configuration(), os.environ)
        # Compiled here, once and on all cores: else every process that starts first does it, each for itself.
        code, output = self._uv(index, "sync", "--compile-bytecode", "--require-hashes", str(self.checkout.lock))
        if code == 0:
            return
        if _is_full(output):
            raise self._failure("The packages could not be installed", output)
        say("uv could not install the packages; trying pip, which takes about a minute longer.")
        self._pip("--require-hashes", "--no-deps", "-r", str(self.checkout.lock))

    def install_project(self) -> None:
        """Install this checkout itself, editable, with the locked build backend."""
        command = ("install", "--no-deps", "--no-build-isolation", "--offline", "-e", str(self.checkout.root))
        code, output = self._uv({}, *command)
        if code != 0:
            raise self._failure("The project itself could not be installed", output)

    def _pip_configuration(self) -> str:
        return self._run([str(self.checkout.python), "-m", "pip", "config", "list"], quiet=True)[1]

    def _pip(self, *arguments: str) -> None:
        command = [str(self.checkout.python), "-m", "pip", "install", "--quiet", *arguments]
        code, output = self._run(command)
        if code != 0:
            raise self._failure("The packages could not be installed", output)

    def _uv(self, environment: Mapping[str, str], action: str, *arguments: str) -> tuple[int, str]:
        program = str(self.checkout.venv / "bin" / "uv")
        command = [program, "pip", action, "--quiet", "--python", str(self.checkout.python), *arguments]
        return self._run(command, {"UV_PYTHON_DOWNLOADS": "never", **_cache(), **environment})

    def _run(
        self, command: list[str], environment: Mapping[str, str] | None = None, *, quiet: bool = False
    ) -> tuple[int, str]:
        ran = subprocess.run(  # noqa: S603 - our own commands
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0", **(environment or {})},
            pass_fds=(self._turn,),
        )
        if not quiet:
            with self.checkout.log.open("a", encoding="utf-8") as log:
                log.write(f"$ {' '.join(command)}\n{ran.stdout}\n")
        return ran.returncode, ran.stdout

    def _failure(self, what: str, output: str) -> CannotMake:
        if _is_full(output):
            return CannotMake(f"{what}: the disk of {self.checkout.root} or of the package cache is full.")
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        telling = next((line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "silence")
        hint = ""
        if any(sign in output.lower() for sign in OUT_OF_REACH):
            hint = " Is the package index within reach? PIP_INDEX_URL, PIP_CERT and pip.conf are honoured."
        return CannotMake(f"{what}: {telling.rstrip('.')}.{hint} All that was said is in {self.checkout.log}.")


def block_of(package: str, lock: str) -> str:
    """Return the lines of one package in a requirements lock, hashes included; raises CannotMake."""
    lines = lock.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(f"{package}==")]
    if not starts:
        raise CannotMake(f"requirements.lock does not name {package}; make it again with `make lock`.")
    end = next((n for n in range(starts[0] + 1, len(lines)) if not lines[n].startswith((" ", "#"))), len(lines))
    return "\n".join(lines[starts[0] : end]) + "\n"


def index_settings(pip_configuration: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment by which uv uses the indexes and certificates that pip would, for it does not read pip's.

    `pip_configuration` is what `pip config list` prints. What the environment tells uv itself stays as it is.
    """
    settings: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in pip_configuration.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(section):
                with contextlib.suppress(ValueError, SyntaxError):
                    settings[name.removeprefix(section)] = " ".join(str(ast.literal_eval(value)).split())
    found = {ours: settings[theirs] for theirs, ours in PASSED_ON_TO_UV.items() if settings.get(theirs)}
    if "find-links" in settings:
        found["UV_FIND_LINKS"] = found["UV_FIND_LINKS"].replace(" ", ",")
    if settings.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        found["UV_NO_INDEX"] = "1"
    # pip looks at every index; the hashes decide what may be taken.
    found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in found.items() if name not in environment}


def _cache() -> dict[str, str]:
    """Do without uv's cache where none can be written."""
    place = Path(os.environ.get("UV_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    while not place.exists() and place != place.parent:
        place = place.parent
    return {} if os.access(place, os.W_OK) else {"UV_NO_CACHE": "1"}


def _is_full(output: str) -> bool:
    return "No space left on device" in output or "Disk quota exceeded" in output


def say(sentence: str) -> None:
    """Tell the person who ran make."""
    sys.stderr.write(sentence + "\n")
