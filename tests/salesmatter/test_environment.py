import os
import stat
import sys
from pathlib import Path

import pytest

from salesmatter.environment import fitting_python, main, make
from salesmatter.environment_maker import CannotMake, Checkout, block_of, index_settings

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


def pretend_made(checkout: Checkout) -> None:
    """Leave behind what a finished run leaves behind, as far as the stamp goes."""
    checkout.python.parent.mkdir(parents=True, exist_ok=True)
    checkout.python.symlink_to(sys.executable)
    checkout.stamp()


def program(place: Path, text: str) -> str:
    """Write an executable shell script and return its path."""
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
    return str(place)


def test_the_running_python_is_taken_when_it_fits() -> None:
    """Nothing else is looked for when the running Python will do."""
    assert fitting_python((3, 12, 1), "/opt/python", candidates=()) == "/opt/python"


def test_another_python_is_found_when_the_running_one_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher that stands for a Python that is not installed is passed over."""
    program(tmp_path / "python3.13", "echo not installed >&2; exit 127")
    found = program(tmp_path / "python3.12", f'exec {sys.executable} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))

    assert fitting_python((3, 9, 2), "/usr/bin/python3") == found


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 14, 0)])
def test_no_python_that_fits_is_a_sentence(
    version: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person learns which versions will do and how to get one."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CannotMake, match=r"needs Python 3\.11, 3\.12 or 3\.13; python3 is 3\.1[04].*apt install"):
        fitting_python(version, "/usr/bin/python3")


def test_a_finished_environment_is_left_alone(checkout: Checkout) -> None:
    """A second run starts no program at all: the Python it is given does not exist."""
    pretend_made(checkout)

    make(checkout, "/nowhere/python")

    assert checkout.is_made()


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_file_outdates_the_environment(checkout: Checkout, name: str) -> None:
    """The stamp holds what the environment was made from."""
    pretend_made(checkout)
    (checkout.root / name).write_text("changed")

    assert not checkout.is_made()
    assert checkout.needs_project_only() == (name == "pyproject.toml")


def test_a_half_made_environment_does_not_count(checkout: Checkout) -> None:
    """Without its stamp, which is written last, an environment is none."""
    pretend_made(checkout)
    (checkout.venv / "made-from.json").unlink()

    assert not checkout.is_made()


def test_a_moved_checkout_needs_a_new_environment(checkout: Checkout, tmp_path: Path) -> None:
    """Programs in an environment name their Python by its absolute path."""
    pretend_made(checkout)
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)

    assert not Checkout(moved).is_made()


def test_a_python_without_venv_is_a_sentence(checkout: Checkout, tmp_path: Path) -> None:
    """The person learns which package Debian wants."""
    python = program(
        tmp_path / "python", "echo 'The virtual environment was not created: ensurepip is not available'; exit 1"
    )

    with pytest.raises(CannotMake, match=r"apt install python3-venv"):
        make(checkout, python)
    assert not checkout.is_made()


def test_an_index_out_of_reach_is_a_sentence(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The real pip, with nobody listening at the index: one sentence, exit status 1, nothing half made."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")

    assert main(checkout.root) == 1

    said = capfd.readouterr().err
    assert "Is the package index within reach?" in said
    assert "Traceback" not in said
    assert not checkout.is_made()


def test_an_incomplete_checkout_is_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A checkout without a lock says so."""
    assert main(tmp_path) == 1
    assert "requirements.lock cannot be read: No such file or directory." in capfd.readouterr().err


def test_uv_comes_from_its_own_lines_of_the_lock() -> None:
    """Neither a package whose name begins alike nor the next package is taken along."""
    assert block_of("uv", LOCK).splitlines()[0] == "uv==0.13.9 \\"
    assert "sha256:cc" in block_of("uv", LOCK)
    assert "uvicorn" not in block_of("uv", LOCK)
    with pytest.raises(CannotMake, match="does not name pip"):
        block_of("pip", LOCK)


def test_uv_is_told_what_pip_was_told() -> None:
    """Indexes, certificates and time-outs of pip's configuration reach uv; the environment outranks files."""
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

    assert index_settings(configured, {"UV_HTTP_TIMEOUT": "5"}) == {
        "UV_DEFAULT_INDEX": "https://new.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_FIND_LINKS": "/one,/two",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
