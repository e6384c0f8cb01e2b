"""Steps that create `.venv`: an empty environment, the locked packages, and the project itself."""

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
NETWORK_ERROR_SIGNS = (
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
PIP_TO_UV_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}


class SetupFailed(Exception):
    """The environment cannot be created; the message is for the person who ran make."""


class Checkout:
    """The paths of one checkout that its environment depends on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"
        self.lock = root / "requirements.lock"
        self.project = root / "pyproject.toml"
        self.state = root / ".salesmatter"
        self.log = self.state / "environment.log"

    def read_fingerprint(self) -> dict[str, str]:
        """Return the hashes and paths that the environment depends on; raises SetupFailed if a file is missing."""
        try:
            digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.lock, self.project)}
        except OSError as error:
            raise SetupFailed(f"{error.filename} cannot be read: {error.strerror}.") from error
        return {**digests, "root": str(self.root), "python": os.path.realpath(self.python)}

    def write_stamp(self) -> None:
        """Write the fingerprint into the finished environment."""
        (self.venv / STAMP).write_text(json.dumps(self.read_fingerprint()), encoding="utf-8")

    def is_current(self) -> bool:
        """Return whether the environment is complete and matches the checkout."""
        try:
            stamp = json.loads((self.venv / STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(stamp == self.read_fingerprint()) and self.python.exists()

    def needs_project_install_only(self) -> bool:
        """Return whether the packages match and only pyproject.toml has changed."""
        try:
            stamp = json.loads((self.venv / STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool({**stamp, self.project.name: ""} == {**self.read_fingerprint(), self.project.name: ""})


class EnvironmentBuilder:
    """Runs the steps; `lock` is the file descriptor of the checkout's lock."""

    def __init__(self, checkout: Checkout, lock: int) -> None:
        self.checkout, self._lock = checkout, lock
        checkout.log.write_bytes(b"")

    def create_venv(self, python: str) -> None:
        """Create an empty environment with pip, and replace an existing one."""
        if self.checkout.venv.is_symlink():
            self.checkout.venv.unlink()
        elif self.checkout.venv.exists():
            shutil.rmtree(self.checkout.venv)
        code, output = self._run([python, "-m", "venv", str(self.checkout.venv)])
        if code == 0:
            return
        if "ensurepip" in output or "No module named venv" in output:
            raise SetupFailed(
                f"{python} cannot create environments, because its venv module is not installed. "
                "On Debian and Ubuntu: apt install python3-venv."
            )
        raise self._failure("The environment could not be created", output)

    def install_packages(self) -> None:
        """Install the locked packages and verify their hashes, with uv, or with pip if uv fails."""
        uv_lock = self.checkout.venv / "uv.lock.txt"
        lock_text = self.checkout.lock.read_text(encoding="utf-8")
        uv_lock.write_text(extract_package_block("uv", lock_text), encoding="utf-8")
        self._pip("--require-hashes", "--no-deps", "-r", str(uv_lock))
        uv_lock.unlink()
        index = build_uv_settings(self._pip_configuration(), os.environ)
        # Compile here, once and on all cores; otherwise each of the first processes would compile all modules itself.
        code, output = self._uv(index, "sync", "--compile-bytecode", "--require-hashes", str(self.checkout.lock))
        if code == 0:
            return
        if _is_disk_full(output):
            raise self._failure("The packages could not be installed", output)
        print_message("uv could not install the packages; trying pip, which takes about a minute longer.")
        self._pip("--require-hashes", "--no-deps", "-r", str(self.checkout.lock))

    def install_project(self) -> None:
        """Install this checkout in editable mode, with the locked build backend."""
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
        return self._run(command, {"UV_PYTHON_DOWNLOADS": "never", **_cache_settings(), **environment})

    def _run(
        self, command: list[str], environment: Mapping[str, str] | None = None, *, quiet: bool = False
    ) -> tuple[int, str]:
        result = subprocess.run(  # noqa: S603 - our own commands
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0", **(environment or {})},
            pass_fds=(self._lock,),
        )
        if not quiet:
            with self.checkout.log.open("a", encoding="utf-8") as log:
                log.write(f"$ {' '.join(command)}\n{result.stdout}\n")
        return result.returncode, result.stdout

    def _failure(self, summary: str, output: str) -> SetupFailed:
        if _is_disk_full(output):
            return SetupFailed(f"{summary}: the disk of {self.checkout.root} or of the package cache is full.")
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        last_line = lines[-1] if lines else "no output"
        reason = next((line for line in reversed(lines) if "error" in line.lower()), last_line)
        hint = ""
        if any(sign in output.lower() for sign in NETWORK_ERROR_SIGNS):
            hint = " Check that the package index can be reached; PIP_INDEX_URL, PIP_CERT and pip.conf are used."
        return SetupFailed(f"{summary}: {reason.rstrip('.')}.{hint} See {self.checkout.log}.")


def extract_package_block(package: str, lock: str) -> str:
    """Return the lines of one package in a requirements lock, hashes included; raises SetupFailed."""
    lines = lock.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(f"{package}==")]
    if not starts:
        raise SetupFailed(f"requirements.lock does not contain {package}. Run `make lock`.")
    end = next((n for n in range(starts[0] + 1, len(lines)) if not lines[n].startswith((" ", "#"))), len(lines))
    return "\n".join(lines[starts[0] : end]) + "\n"


def build_uv_settings(pip_configuration: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables that make uv use pip's indexes and certificates; uv does not read pip's settings.

    `pip_configuration` is the output of `pip config list`. Variables that are already set for uv are left out.
    """
    settings: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in pip_configuration.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(section):
                with contextlib.suppress(ValueError, SyntaxError):
                    settings[name.removeprefix(section)] = " ".join(str(ast.literal_eval(value)).split())
    variables = {name: settings[option] for option, name in PIP_TO_UV_SETTINGS.items() if settings.get(option)}
    if "find-links" in settings:
        variables["UV_FIND_LINKS"] = variables["UV_FIND_LINKS"].replace(" ", ",")
    if settings.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        variables["UV_NO_INDEX"] = "1"
    # Search every index, as pip does. This is safe because the packages' hashes are verified.
    variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in variables.items() if name not in environment}


def _cache_settings() -> dict[str, str]:
    """Return the setting that disables uv's cache if its folder cannot be written."""
    folder = Path(os.environ.get("UV_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return {} if os.access(folder, os.W_OK) else {"UV_NO_CACHE": "1"}


def _is_disk_full(output: str) -> bool:
    return "No space left on device" in output or "Disk quota exceeded" in output


def print_message(message: str) -> None:
    """Print a message to standard error."""
    sys.stderr.write(message + "\n")
