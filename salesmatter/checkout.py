"""Where things are: the folder this runs from, what it keeps there, and the key it keeps secrets under."""

import os
import secrets
import tempfile
from pathlib import Path

from dotenv import load_dotenv


def root() -> Path:
    """Return the checkout this code runs from, or the working directory when it was installed without one."""
    above = Path(__file__).resolve().parent.parent
    return above if (above / "pyproject.toml").exists() else Path.cwd()


def state() -> Path:
    """Return the folder for what is kept between runs: SALESMATTER_HOME, or one in the checkout; made when missing."""
    folder = Path(os.environ.get("SALESMATTER_HOME") or root() / ".salesmatter").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def read_dotenv() -> None:
    """Let `.env` fill in what the environment leaves open, for this process and all that it starts."""
    load_dotenv(root() / ".env")


def secret_key() -> str:
    """Return SALESMATTER_SECRET_KEY, or the key that was made for this checkout the first time one was wanted."""
    given = os.environ.get("SALESMATTER_SECRET_KEY", "").strip()
    if given:
        return given
    path = state() / "secret.key"
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(32))
    return path.read_text(encoding="ascii").strip()


def _write_once(path: Path, text: str) -> None:
    """Write a private file whole; when somebody else was first, their file stays."""
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text + "\n")
        path.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink()
