"""Paths of the checkout and its state folder, and the secret key of this installation."""

import os
import secrets
import tempfile
from pathlib import Path

from dotenv import load_dotenv


def find_root() -> Path:
    """Return the checkout that this code runs from, or the working directory if it was installed as a package."""
    parent = Path(__file__).resolve().parent.parent
    return parent if (parent / "pyproject.toml").exists() else Path.cwd()


def ensure_state_dir() -> Path:
    """Return the state folder, SALESMATTER_HOME or `.salesmatter` in the checkout, and create it if needed."""
    folder = Path(os.environ.get("SALESMATTER_HOME") or find_root() / ".salesmatter").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def read_dotenv() -> None:
    """Load `.env` into the environment of this process and its children; variables that are already set stay."""
    load_dotenv(find_root() / ".env")


def load_secret_key() -> str:
    """Return SALESMATTER_SECRET_KEY, or this checkout's own key, which is generated on first use."""
    configured = os.environ.get("SALESMATTER_SECRET_KEY", "").strip()
    if configured:
        return configured
    path = ensure_state_dir() / "secret.key"
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(32))
    return path.read_text(encoding="ascii").strip()


def _write_once(path: Path, text: str) -> None:
    """Write a private file atomically; if another process wrote it first, that file stays."""
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text + "\n")
        path.hardlink_to(temporary)
    except FileExistsError:
        return
    finally:
        temporary.unlink()
