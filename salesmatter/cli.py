"""The command line; an expected error is printed as one sentence."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from salesmatter import checkout
from salesmatter.errors import StartError
from salesmatter.failures import describe_error

# Each command imports its own modules, so that `salesmatter --help` starts fast.
# ruff: noqa: PLC0415

commands = typer.Typer(
    name="salesmatter",
    help="SalesMatter: automated B2B sales outreach.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
accounts = typer.Typer(help="Manage the customer accounts of this installation.", no_args_is_help=True)
commands.add_typer(accounts, name="accounts")
prompts = typer.Typer(help="Manage the prompts of the AI workflows.", no_args_is_help=True)
commands.add_typer(prompts, name="prompts")

Host = Annotated[str, typer.Option(envvar="SALESMATTER_HOST", help="The address to listen on.")]
ApiPort = Annotated[int, typer.Option(min=1, max=65535, envvar="SALESMATTER_API_PORT", help="The API's port.")]
SandboxPort = Annotated[
    int, typer.Option(min=1, max=65535, envvar="SALESMATTER_SANDBOX_PORT", help="The Everlytic sandbox's port.")
]
DagsterPort = Annotated[int, typer.Option(min=1, max=65535, envvar="SALESMATTER_DAGSTER_PORT", help="Dagster's port.")]
DocsPort = Annotated[int, typer.Option(min=1, max=65535, envvar="SALESMATTER_DOCS_PORT", help="The dbt docs' port.")]


@commands.command()
def up(
    host: Host = "127.0.0.1",
    api_port: ApiPort = 8000,
    sandbox_port: SandboxPort = 8025,
    dagster_port: DagsterPort = 3000,
    docs_port: DocsPort = 8081,
    dagster: Annotated[bool, typer.Option(help="Also start Dagster.")] = True,
    docs: Annotated[bool, typer.Option(help="Also generate and serve the dbt docs.")] = True,
) -> None:
    """Start all services and run them until Ctrl-C."""
    from salesmatter.up import UpOptions, run

    run(UpOptions(host, api_port, sandbox_port, dagster_port if dagster else None, docs_port if docs else None))


@commands.command()
def demo(
    file: Annotated[
        Path | None, typer.Option(help="A CSV file of leads. Default: data/leads-1000.csv.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the sandbox; the same seed gives the same behaviour.")] = 7,
) -> None:
    """Run a whole campaign from a CSV file of leads to the analytics tables, against the Everlytic sandbox."""
    from salesmatter.demo.run import run

    raise typer.Exit(run(file or checkout.find_root() / "data" / "leads-1000.csv", seed))


@commands.command()
def migrate() -> None:
    """Migrate the database schema to the newest version."""
    from salesmatter.stack import open_migrated_database

    with open_migrated_database() as database:
        url = database.direct
        typer.echo(f"The schema of {url.host}:{url.port or 5432}/{url.database} is up to date.")


@commands.command()
def api(host: Host = "127.0.0.1", port: ApiPort = 8000) -> None:
    """Serve the HTTP API."""
    from api.server import serve
    from salesmatter.ports import require_free_port
    from salesmatter.stack import open_database_for_settings, require_schema

    require_free_port(host, port, "--port", "SALESMATTER_API_PORT")
    with open_database_for_settings() as database:
        require_schema(database)
        serve(host, port)


@commands.command()
def worker() -> None:
    """Run the background worker: drafts, sends, webhooks, replies."""
    from ai.settings import AiSettings
    from api.http.logs import write_json_lines
    from api.settings import ApiSettings
    from api.worker import work
    from salesmatter.stack import open_database_for_settings

    write_json_lines()
    with open_database_for_settings() as database:
        asyncio.run(work(ApiSettings(), AiSettings(), database.owner))


@commands.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sandbox(context: typer.Context) -> None:
    """Run the Everlytic sandbox, a local Everlytic simulator. `salesmatter sandbox --help` lists its options."""
    from everlytic.sandbox.__main__ import main

    raise typer.Exit(main(context.args))


@commands.command()
def docs(host: Host = "127.0.0.1", port: DocsPort = 8081) -> None:
    """Generate the dbt docs and serve them."""
    from salesmatter.docs import generate_docs, serve_docs
    from salesmatter.ports import require_free_port
    from salesmatter.stack import open_database_for_settings, require_schema

    require_free_port(host, port, "--port", "SALESMATTER_DOCS_PORT")
    with open_database_for_settings() as database:
        require_schema(database)
        folder = generate_docs(database)
    serve_docs(folder, host, port)


@commands.command()
def bench(
    name: Annotated[str, typer.Argument(help="The benchmark's name. An unknown name lists all benchmarks.")],
    size: Annotated[Literal["small", "full"], typer.Option(help="`small` takes less than a minute.")] = "small",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Run a benchmark and compare it with its baselines; exits with 1 if a target is missed. Needs a checkout."""
    try:
        from benchmarks.registry import BENCHES
        from benchmarks.run import run
    except ModuleNotFoundError as error:
        if error.name != "benchmarks":
            raise
        raise StartError("Benchmarks are not part of the installed package. Run them in a checkout.") from error

    if name not in BENCHES:
        raise typer.BadParameter(f"Unknown benchmark '{name}'. Choose from: {', '.join(BENCHES)}.", param_hint="NAME")
    raise typer.Exit(run(name, BENCHES[name], size, as_json=as_json))


@accounts.command("create")
def create_account_command(
    name: Annotated[str, typer.Option(help="The customer's name.")],
    email: Annotated[str, typer.Option(help="The email address of the account's first user, an admin.")],
    user_name: Annotated[str, typer.Option(help="The name of the first user. Default: the email address.")] = "",
) -> None:
    """Create an account with one admin and print its API key, which cannot be shown again."""
    from salesmatter.accounts import create_account
    from salesmatter.stack import open_migrated_database

    with open_migrated_database() as database:
        account = asyncio.run(create_account(database, name=name, email=email, user_name=user_name or email))
    typer.echo(account.api_key)


@prompts.command("push")
def push_prompts() -> None:
    """Publish the prompts in Langfuse under the version numbers of their files; existing versions stay unchanged."""
    from ai.prompts import list_prompts
    from ai.settings import AiSettings
    from ai.tracing.langfuse_prompts import push_prompts

    for pushed in push_prompts(AiSettings(), list_prompts()):
        typer.echo(f"{pushed.prompt.name} {pushed.prompt.version}: {pushed.outcome}")


def app() -> None:
    """Run the command line; an expected error is printed as one sentence, with exit status 1."""
    try:
        checkout.read_dotenv()
        commands()
    except Exception as error:
        sentence = describe_error(error)
        if sentence is None:
            raise
        sys.stderr.write(sentence + "\n")
        sys.exit(1)
