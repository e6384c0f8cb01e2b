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
from salesmatter.ports import find_free_port
from tests import ROOT
from tests.postgres import create_database, drop_database


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder that replaces the checkout's own, which may be in use."""
    return tmp_path / "home"


def salesmatter(home: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line as a user would, without the settings of this machine."""
    inherited = {n: value for n, value in os.environ.items() if not n.startswith(("SALESMATTER_", "DATABASE_"))}
    return subprocess.run(
        [sys.executable, "-m", "salesmatter", *arguments],
        cwd=ROOT,
        env={**inherited, "SALESMATTER_HOME": str(home), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.fixture
def used_port() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def read_error(result: "subprocess.CompletedProcess[str]") -> str:
    """Return the error of a failed command: one sentence, exit status 1, no traceback."""
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    return result.stderr.strip()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://u:p@h/d", r"starts with 'mysql://'\. Only postgresql:// is supported"),
        ("postgresql://127.0.0.1/d", r"DATABASE_URL has no username and no password"),
        (
            "postgresql://u:p@127.0.0.1:1/d",
            r"127\.0\.0\.1:1/d cannot be reached: .*Connection refused\. Check DATABASE_URL",
        ),
        ("nonsense", r"DATABASE_URL is not a URL"),
    ],
)
def test_an_invalid_database_url_is_explained(home: Path, url: str, sentence: str) -> None:
    """The error names the wrong part of DATABASE_URL and says what to do."""
    assert re.search(sentence, read_error(salesmatter(home, "migrate", DATABASE_URL=url)))


@pytest.mark.parametrize("command", ["api", "worker"])
def test_an_old_schema_is_explained(home: Path, postgres_url: str, tmp_path: Path, command: str) -> None:
    """The service does not start on another schema version, and the error names the command to run."""
    name = f"test_old_{tmp_path.name}".lower().replace("-", "_")[:60]
    url = create_database(postgres_url, name)
    try:
        salesmatter(home, "migrate", DATABASE_URL=url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE public.alembic_version SET version_num = '0000'")
        result = salesmatter(home, command, DATABASE_URL=url, SALESMATTER_API_PORT=str(find_free_port()))
        assert "Run `salesmatter migrate`." in read_error(result)
    finally:
        drop_database(postgres_url, name)


@pytest.mark.parametrize("name", ["api", "sandbox", "dagster", "docs"])
def test_a_used_port_is_explained(home: Path, used_port: int, name: str) -> None:
    """`up` starts nothing if one of its ports is used, and the error names the port and the setting."""
    ports = {service: find_free_port() for service in ("api", "sandbox", "dagster", "docs")} | {name: used_port}
    options = [argument for service, port in ports.items() for argument in (f"--{service}-port", str(port))]

    sentence = read_error(salesmatter(home, "up", *options))

    assert f"Port {used_port} on 127.0.0.1 is used" in sentence
    assert f"--{name}-port or SALESMATTER_{name.upper()}_PORT" in sentence
    assert not home.exists()


def test_a_missing_file_is_explained(home: Path, tmp_path: Path) -> None:
    """The demo reads its file before it starts a process."""
    sentence = read_error(salesmatter(home, "demo", "--file", str(tmp_path / "none.csv")))

    assert sentence == f"The file {tmp_path / 'none.csv'} cannot be read: No such file or directory."
    assert not home.exists()


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("SALESMATTER_POOL_SIZE", "many", "Invalid value for SALESMATTER_POOL_SIZE: "),
        ("SALESMATTER_CLOCK", "soon", "SALESMATTER_CLOCK is 'soon'"),
        ("OPENAI_MAX_RETRIES", "-1", "Invalid value for OPENAI_MAX_RETRIES: "),
    ],
)
def test_an_invalid_setting_is_explained(
    home: Path, database_url: str, setting: str, value: str, sentence: str
) -> None:
    """The error names the environment variable of the invalid setting."""
    result = salesmatter(home, "worker", **{"DATABASE_URL": database_url, setting: value})

    assert read_error(result).startswith(sentence)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"OIDC_ISSUER": "https://login.example.com/"}, "Invalid value for OIDC_AUDIENCE: set both"),
        ({"OIDC_AUDIENCE": "salesmatter"}, "Invalid value for OIDC_AUDIENCE: set both"),
        ({"OIDC_ISSUER": "login", "OIDC_AUDIENCE": "us"}, "Invalid value for OIDC_ISSUER: must be a URL"),
    ],
)
def test_incomplete_oidc_settings_are_explained(
    home: Path, database_url: str, settings: dict[str, str], sentence: str
) -> None:
    """The API does not start with an issuer and no audience, because it would accept tokens for other services."""
    port = str(find_free_port())
    result = salesmatter(home, "api", DATABASE_URL=database_url, SALESMATTER_API_PORT=port, **settings)

    assert sentence in read_error(result)


def test_an_unwritable_home_is_explained(tmp_path: Path) -> None:
    """The error names the state folder that cannot be created."""
    (tmp_path / "file").write_text("in the way")

    assert str(tmp_path / "file") in read_error(salesmatter(tmp_path / "file" / "home", "migrate"))


def test_a_second_migration_changes_nothing(home: Path, database_url: str) -> None:
    """An up-to-date schema stays as it is, and the output names the database without its password."""
    result = salesmatter(home, "migrate", DATABASE_URL=database_url)

    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"The schema of 127\.0\.0\.1:\d+/test_\w+ is up to date\.\n", result.stdout)


def test_creating_an_account_prints_its_api_key(home: Path, database_url: str) -> None:
    """Only the key is printed, so that a script can read it; the database stores only its hash."""
    result = salesmatter(
        home, "accounts", "create", "--name", "Acme", "--email", "a@acme.example", DATABASE_URL=database_url
    )

    assert result.returncode == 0, result.stderr
    key = result.stdout.strip()
    assert key.startswith("sm_")
    with psycopg.connect(libpq_url(owner_url(database_url))) as connection:
        stored = connection.execute("SELECT prefix, secret_hash FROM app.api_keys").fetchall()
    assert [(key.startswith(prefix), key in secret) for prefix, secret in stored] == [(True, False)]


def test_an_account_needs_an_email_address(home: Path, database_url: str) -> None:
    """An invalid email address is refused with a sentence."""
    result = salesmatter(home, "accounts", "create", "--name", "Acme", "--email", "acme", DATABASE_URL=database_url)

    assert read_error(result) == "The account cannot be created: An email address must have an @-sign."


def test_wrong_usage_exits_with_2(home: Path) -> None:
    """An unknown command or an invalid option has another exit status than a failed command."""
    assert salesmatter(home, "nonsense").returncode == 2
    assert salesmatter(home, "up", "--api-port", "many").returncode == 2


def test_an_interrupt_is_quiet(home: Path, database_url: str) -> None:
    """Ctrl-C ends `up` with status 130, and it writes nothing to standard error."""
    inherited = {n: value for n, value in os.environ.items() if not n.startswith(("SALESMATTER_", "DATABASE_"))}
    environment = {**inherited, "SALESMATTER_HOME": str(home), "DATABASE_URL": database_url}
    command = [sys.executable, "-m", "salesmatter", "up", "--no-dagster", "--no-docs"]
    command += ["--api-port", str(find_free_port()), "--sandbox-port", str(find_free_port())]
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
