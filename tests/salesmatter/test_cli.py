import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from database.roles import libpq_url, owner_url
from tests import ROOT
from tests.postgres import create_database, drop_database


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder in place of the checkout's own, which somebody may be using."""
    return tmp_path / "home"


def salesmatter(home: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line as a person would, without this machine's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SALESMATTER_", "DATABASE_"))}
    return subprocess.run(
        [sys.executable, "-m", "salesmatter", *arguments],
        cwd=ROOT,
        env={**kept, "SALESMATTER_HOME": str(home), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def said(result: "subprocess.CompletedProcess[str]") -> str:
    """What a failed command told the person: one sentence, exit status 1, no traceback."""
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    return result.stderr.strip()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://u:p@h/d", r"starts with 'mysql://'; only postgresql:// is supported"),
        ("postgresql://127.0.0.1/d", r"DATABASE_URL has no username and no password"),
        (
            "postgresql://u:p@127.0.0.1:1/d",
            r"127\.0\.0\.1:1/d cannot be reached: .*Connection refused\. Check DATABASE_URL",
        ),
        ("nonsense", r"DATABASE_URL is not a URL"),
    ],
)
def test_a_wrong_database_url_is_a_sentence(home: Path, url: str, sentence: str) -> None:
    """Whatever is wrong with DATABASE_URL, the person is told which part and what to do."""
    assert re.search(sentence, said(salesmatter(home, "migrate", DATABASE_URL=url)))


@pytest.mark.parametrize("command", ["api", "worker"])
def test_an_old_schema_is_a_sentence(home: Path, postgres_url: str, tmp_path: Path, command: str) -> None:
    """The service does not start on a schema it was not written for, and names the command that helps."""
    name = f"test_old_{tmp_path.name}".lower().replace("-", "_")[:60]
    url = create_database(postgres_url, name)
    try:
        salesmatter(home, "migrate", DATABASE_URL=url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE public.alembic_version SET version_num = '0001'")
        port = ("--port", "0") if command == "nothing" else ()
        result = salesmatter(home, command, *port, DATABASE_URL=url, SALESMATTER_API_PORT=str(free()))
        assert "Run `salesmatter migrate` first." in said(result)
    finally:
        drop_database(postgres_url, name)


def free() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("name", ["api", "sandbox", "dagster", "docs"])
def test_a_taken_port_is_a_sentence(home: Path, taken_port: int, name: str) -> None:
    """`up` starts nothing when a port it wants is taken, and names the port and the setting."""
    ports = [argument for one in ("api", "sandbox", "dagster", "docs") for argument in (f"--{one}-port", str(free()))]
    ports[ports.index(f"--{name}-port") + 1] = str(taken_port)

    sentence = said(salesmatter(home, "up", *ports))

    assert f"Port {taken_port} on 127.0.0.1 is taken" in sentence
    assert f"--{name}-port or SALESMATTER_{name.upper()}_PORT" in sentence
    assert not home.exists()


def test_a_missing_file_is_a_sentence(home: Path, tmp_path: Path) -> None:
    """The demo looks for its file before it starts anything."""
    sentence = said(salesmatter(home, "demo", "--file", str(tmp_path / "none.csv")))

    assert sentence == f"The file of leads cannot be read: {tmp_path / 'none.csv'}: No such file or directory."
    assert not home.exists()


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("SALESMATTER_POOL_SIZE", "many", "The setting SALESMATTER_POOL_SIZE cannot be used: "),
        ("SALESMATTER_CLOCK", "soon", "SALESMATTER_CLOCK is 'soon'; it must read "),
        ("OPENAI_MAX_RETRIES", "-1", "The setting OPENAI_MAX_RETRIES cannot be used: "),
    ],
)
def test_a_wrong_setting_is_a_sentence(home: Path, database_url: str, setting: str, value: str, sentence: str) -> None:
    """A setting that cannot be read is named as the person has to write it."""
    result = salesmatter(home, "worker", **{"DATABASE_URL": database_url, setting: value})

    assert said(result).startswith(sentence)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"OIDC_ISSUER": "https://login.example.com/"}, "OIDC_AUDIENCE cannot be used: it is set together with"),
        ({"OIDC_AUDIENCE": "salesmatter"}, "OIDC_AUDIENCE cannot be used: it is set together with"),
        ({"OIDC_ISSUER": "login", "OIDC_AUDIENCE": "us"}, "OIDC_ISSUER cannot be used: it must be an address"),
    ],
)
def test_half_a_sign_on_is_a_sentence(home: Path, database_url: str, settings: dict[str, str], sentence: str) -> None:
    """The API does not start with an issuer and no audience, which would take tokens that are meant for others."""
    result = salesmatter(home, "api", DATABASE_URL=database_url, SALESMATTER_API_PORT=str(free()), **settings)

    assert sentence in said(result)


def test_an_unwritable_home_is_a_sentence(tmp_path: Path) -> None:
    """A home that cannot be made is named."""
    (tmp_path / "file").write_text("in the way")

    assert str(tmp_path / "file") in said(salesmatter(tmp_path / "file" / "home", "migrate"))


def test_migrating_twice_is_fine(home: Path, database_url: str) -> None:
    """An up-to-date schema stays as it is, and the database is named without its password."""
    result = salesmatter(home, "migrate", DATABASE_URL=database_url)

    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"The schema of 127\.0\.0\.1:\d+/test_\w+ is up to date\.\n", result.stdout)


def test_an_account_comes_with_a_key(home: Path, database_url: str) -> None:
    """The key is printed once and alone, so that a script can take it; the database holds its hash only."""
    result = salesmatter(
        home, "accounts", "create", "--name", "Acme", "--email", "a@acme.example", DATABASE_URL=database_url
    )

    assert result.returncode == 0, result.stderr
    key = result.stdout.strip()
    assert key.startswith("sm_")
    with psycopg.connect(libpq_url(owner_url(database_url))) as connection:
        stored = connection.execute("SELECT prefix, secret_hash FROM app.api_keys").fetchall()
    assert [(key.startswith(prefix), key in secret) for prefix, secret in stored] == [(True, False)]


def test_an_account_needs_an_address(home: Path, database_url: str) -> None:
    """An address that is none is refused in a sentence."""
    result = salesmatter(home, "accounts", "create", "--name", "Acme", "--email", "acme", DATABASE_URL=database_url)

    assert said(result) == "The account cannot be made: An email address must have an @-sign."


def test_wrong_usage_ends_with_2(home: Path) -> None:
    """A command or option that does not exist is told apart from work that failed."""
    assert salesmatter(home, "nonsense").returncode == 2
    assert salesmatter(home, "up", "--api-port", "many").returncode == 2


def test_an_interrupt_is_quiet(home: Path, database_url: str) -> None:
    """Ctrl-C ends `up` with status 130, and it writes nothing to standard error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SALESMATTER_", "DATABASE_"))}
    environment = {**kept, "SALESMATTER_HOME": str(home), "DATABASE_URL": database_url}
    command = [sys.executable, "-m", "salesmatter", "up", "--no-dagster", "--no-docs"]
    command += ["--api-port", str(free()), "--sandbox-port", str(free())]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while "Ready after" not in (line := process.stdout.readline()):
            assert line, "it ended before it was ready"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == ""
