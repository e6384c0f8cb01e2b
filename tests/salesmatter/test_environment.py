import os
import stat
import sys
from pathlib import Path

import pytest

from salesmatter.environment import ensure_environment, find_python, main
from salesmatter.environment_builder import Checkout, SetupFailed, build_uv_settings, extract_package_block

LOCK = """\
typer==1.0 \\
    --hash=sha256:aa
    # via salesmatter
uv==0.13.9 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via salesmatter
uvicorn==2.0 \\
    --hash=sha256:dd
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with a lock and a project, and no environment."""
    (tmp_path / "requirements.lock").write_text(LOCK)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'salesmatter'\n")
    return Checkout(tmp_path)


def create_stamped_environment(checkout: Checkout) -> None:
    """Create an environment that consists only of a Python and a stamp."""
    checkout.python.parent.mkdir(parents=True, exist_ok=True)
    checkout.python.symlink_to(sys.executable)
    checkout.write_stamp()


def write_script(path: Path, text: str) -> str:
    """Write an executable shell script and return its path."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_running_python_is_used_if_it_is_supported() -> None:
    """No other Python is searched if the running one is supported."""
    assert find_python((3, 12, 1), "/opt/python", candidates=()) == "/opt/python"


def test_another_python_is_used_if_the_running_one_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher for a Python that is not installed is skipped."""
    write_script(tmp_path / "python3.13", "echo not installed >&2; exit 127")
    installed = write_script(tmp_path / "python3.12", f'exec {sys.executable} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_python((3, 9, 2), "/usr/bin/python3") == installed


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 14, 0)])
def test_a_missing_python_is_explained(
    version: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the supported versions and how to install one."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SetupFailed, match=r"needs Python 3\.11, 3\.12 or 3\.13; python3 is 3\.1[04].*apt install"):
        find_python(version, "/usr/bin/python3")


def test_a_current_environment_is_left_alone(checkout: Checkout) -> None:
    """A second run starts no program; the Python passed to it does not exist."""
    create_stamped_environment(checkout)

    ensure_environment(checkout, "/nowhere/python")

    assert checkout.is_current()


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_file_makes_the_environment_outdated(checkout: Checkout, name: str) -> None:
    """The stamp depends on the content of both files."""
    create_stamped_environment(checkout)
    (checkout.root / name).write_text("changed")

    assert not checkout.is_current()
    assert checkout.needs_project_install_only() == (name == "pyproject.toml")


def test_an_incomplete_environment_is_not_current(checkout: Checkout) -> None:
    """Without its stamp, which is written last, an environment is not used."""
    create_stamped_environment(checkout)
    (checkout.venv / "made-from.json").unlink()

    assert not checkout.is_current()


def test_a_moved_checkout_needs_a_new_environment(checkout: Checkout, tmp_path: Path) -> None:
    """The scripts of an environment contain the absolute path of its Python."""
    create_stamped_environment(checkout)
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)

    assert not Checkout(moved).is_current()


def test_a_python_without_venv_is_explained(checkout: Checkout, tmp_path: Path) -> None:
    """The error names the Debian package to install."""
    python = write_script(
        tmp_path / "python", "echo 'The virtual environment was not created: ensurepip is not available'; exit 1"
    )

    with pytest.raises(SetupFailed, match=r"apt install python3-venv"):
        ensure_environment(checkout, python)
    assert not checkout.is_current()


def test_an_unreachable_index_is_explained(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the real pip and no server at the index there is one sentence, exit status 1, and no environment."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")

    assert main(checkout.root) == 1

    errors = capfd.readouterr().err
    assert "Check that the package index can be reached" in errors
    assert "Traceback" not in errors
    assert not checkout.is_current()


def test_an_incomplete_checkout_is_explained(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The error names the missing file."""
    assert main(tmp_path) == 1
    assert "requirements.lock cannot be read: No such file or directory." in capfd.readouterr().err


def test_the_lines_of_uv_are_extracted_from_the_lock() -> None:
    """A package whose name starts with uv and the next package are not included."""
    assert extract_package_block("uv", LOCK).splitlines()[0] == "uv==0.13.9 \\"
    assert "sha256:cc" in extract_package_block("uv", LOCK)
    assert "uvicorn" not in extract_package_block("uv", LOCK)
    with pytest.raises(SetupFailed, match="does not contain pip"):
        extract_package_block("pip", LOCK)


def test_uv_gets_the_settings_of_pip() -> None:
    """The uv settings contain the indexes, certificates and time-outs of pip; environment variables come first."""
    configured = "\n".join(
        [
            "global.index-url='https://old.example/simple'",
            "global.cert='/etc/ca.pem'",
            "global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'",
            "global.find-links='/one /two'",
            ":env:.index-url='https://new.example/simple'",
            ":env:.default-timeout='90'",
        ]
    )

    assert build_uv_settings(configured, {"UV_HTTP_TIMEOUT": "5"}) == {
        "UV_DEFAULT_INDEX": "https://new.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_FIND_LINKS": "/one,/two",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
