"""Time, chance and the environment come in as arguments: nothing below the doors reads a clock or a global."""

import ast
import re

import pytest

from tests.architecture.tree import Source, called, full_name, imported_names, parse, sources

BELOW_THE_DOORS = ("ai", "api", "database", "domain", "egress", "email_text", "everlytic", "orchestration")
READS = re.compile(
    r"datetime\.(datetime|date)\.(now|utcnow|today)$|time\.(time|time_ns|localtime|gmtime|strftime|ctime)$"
    r"|os\.(environ\b|getenv|urandom)|random\.|secrets\.|uuid\.uuid[1-8]|numpy\.random"
    r"|.*\.(Ai|Api|Database|Egress|Orchestration)Settings$"
)
"""Clocks, chance and the environment. Monotonic clocks are no business time: they measure how long something takes."""

EXCEPTIONS = {
    "domain/clock.py": "business time itself; the entry points create the clock and pass it down",
    "api/app.py": "a door: builds the service from its settings for `uvicorn --factory`",
    "api/jobs/engine.py": "jitter of the pauses between attempts, which no rule depends on",
    "api/http/middleware.py": "names a request that came without a name",
    "database/embedded_binaries.py": "what the programs of the embedded Postgres are started with",
    "database/embedded_cluster.py": "the password of a new embedded server",
    "database/migrations/env.py": "an entry point: the `alembic` command",
    "database/secrets.py": "API keys, webhook tokens and passwords must be unguessable",
    "egress/settings.py": "what the command line adds to the settings of the processes that it starts",
    "orchestration/definitions.py": "a door: Dagster loads the code location from here",
    "orchestration/defs/dbt/assets.py": "a door: Dagster wants dbt's manifest when it loads the assets",
    "orchestration/defs/dbt/project.py": "dbt takes its profile from environment variables and from nowhere else",
    "orchestration/defs/everlytic/partitions.py": "a door: which days can be polled is fixed when Dagster loads",
    "orchestration/run.py": "a door: one sync in this process",
}


def reads_in(source: Source) -> list[str]:
    """Return where a file reads a clock, chance or the environment."""
    names = imported_names(source)
    found = [f"{source.path}:{call.lineno}: {name}" for name, call in called(source) if READS.match(name)]
    return found + [
        f"{source.path}:{node.lineno}: {name}"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute | ast.Name)
        and (name := full_name(node, names)) in {"os.environ", "os.environb"}
    ]


def test_nothing_below_the_doors_reads_the_world() -> None:
    """Rules and jobs get the time as an argument; other readers of the clock are listed with their reasons."""
    found = {
        source.path: reads_in(source)
        for source in sources(*BELOW_THE_DOORS)
        if not source.path.startswith("everlytic/sandbox/")
    }
    assert {path for path, reads in found.items() if reads} == set(EXCEPTIONS)


@pytest.mark.parametrize(
    ("folder", "exceptions"), [("domain", ["domain/clock.py"]), ("email_text", []), ("everlytic", []), ("ai", [])]
)
def test_rules_client_and_models_read_nothing(folder: str, exceptions: list[str]) -> None:
    """Rules, provider's client and AI workflows read no clock, chance or environment; only the clock itself does."""
    assert [path for path in EXCEPTIONS if path.startswith(f"{folder}/")] == exceptions


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import UTC, datetime\nnow = datetime.now(UTC)\n",
        "import datetime\ntoday = datetime.date.today()\n",
        "from time import time\nnow = time()\n",
        "import os\nkey = os.environ['KEY']\n",
        "from os import getenv\nkey = getenv('KEY')\n",
        "from random import choice\none = choice([1, 2])\n",
        "from uuid import uuid4\nid_ = uuid4()\n",
        "from api.settings import ApiSettings\nsettings = ApiSettings()\n",
    ],
)
def test_a_seeded_read_is_found(text: str) -> None:
    """The check above can fail: each way to read the world is seen under whatever name it was imported."""
    assert reads_in(parse("domain/lead.py", text))
