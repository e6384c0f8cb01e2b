"""The command line: each command starts one thing, and says in a sentence why it cannot."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from salesmatter import checkout
from salesmatter.errors import StartError
from salesmatter.failures import sentence_for

# Commands import what they start when they start it: the list of commands must come at once.
# ruff: noqa: PLC0415

commands = typer.Typer(
    name="salesmatter",
    help="SalesMatter: automated B2B outreach. Everything that can be started is started here.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
accounts = typer.Typer(help="The customers of this installation.", no_args_is_help=True)
commands.add_typer(accounts, name="accounts")
prompts = typer.Typer(help="What the AI workflows tell a model.", no_args_is_help=True)
commands.add_typer(prompts, name="prompts")

Host = Annotated[str, typer.Option(envvar="SALESMATTER_HOST", help="The address to listen on.")]
ApiPort = Annotated[int, typer.Option(min=1, max=65535, envvar="SALESMATTER_API_PORT")]
SandboxPort = Annotated[int, typer.Option(min=1, max=65535, envvar="SALESMATTER_SANDBOX_PORT")]
DagsterPort = Annotated[int, typer.Option(min=1, max=65535, envvar="SALESMATTER_DAGSTER_PORT")]
DocsPort = Annotated[int, typer.Option(min=1, max=65535, envvar="SALESMATTER_DOCS_PORT")]


@commands.command()
def up(
    host: Host = "127.0.0.1",
    api_port: ApiPort = 8000,
    sandbox_port: SandboxPort = 8025,
    dagster_port: DagsterPort = 3000,
    docs_port: DocsPort = 8081,
    dagster: Annotated[bool, typer.Option(help="Start Dagster too.")] = True,
    docs: Annotated[bool, typer.Option(help="Generate and serve the dbt docs too.")] = True,
) -> None:
    """Start everything and keep it running until Ctrl-C."""
    from salesmatter.up import Wanted, run

    run(Wanted(host, api_port, sandbox_port, dagster_port if dagster else None, docs_port if docs else None))


@commands.command()
def demo(
    file: Annotated[Path | None, typer.Option(help="A CSV file of leads; the repository's own by default.")] = None,
    seed: Annotated[int, typer.Option(help="People in the sandbox behave the same for the same seed.")] = 7,
) -> None:
    """Run the main job from a CSV file to the campaign table, against the Everlytic sandbox."""
    from salesmatter.demo.run import run

    raise typer.Exit(run(file or checkout.root() / "data" / "leads-1000.csv", seed))


@commands.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    from salesmatter.stack import open_migrated_database

    with open_migrated_database() as database:
        where = database.direct
        typer.echo(f"The schema of {where.host}:{where.port or 5432}/{where.database} is up to date.")


@commands.command()
def api(host: Host = "127.0.0.1", port: ApiPort = 8000) -> None:
    """Serve the HTTP API."""
    from api.server import serve
    from salesmatter.ports import require_free
    from salesmatter.stack import database_in_environment, require_schema

    require_free(host, port, "--port", "SALESMATTER_API_PORT")
    with database_in_environment() as database:
        require_schema(database)
        serve(host, port)


@commands.command()
def worker() -> None:
    """Do background work: drafts, sends, webhooks, replies."""
    from ai.settings import AiSettings
    from api.http.logs import write_json_lines
    from api.settings import ApiSettings
    from api.worker import work
    from salesmatter.stack import database_in_environment

    write_json_lines()
    with database_in_environment() as database:
        asyncio.run(work(ApiSettings(), AiSettings(), database.owner))


@commands.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sandbox(context: typer.Context) -> None:
    """Run the Everlytic sandbox (its own options follow; see `salesmatter sandbox --help`)."""
    from everlytic.sandbox.__main__ import main

    raise typer.Exit(main(context.args))


@commands.command()
def docs(host: Host = "127.0.0.1", port: DocsPort = 8081) -> None:
    """Generate the dbt docs and serve them."""
    from salesmatter.docs import generate, serve
    from salesmatter.ports import require_free
    from salesmatter.stack import database_in_environment, require_schema

    require_free(host, port, "--port", "SALESMATTER_DOCS_PORT")
    with database_in_environment() as database:
        require_schema(database)
        folder = generate(database)
    serve(folder, host, port)


@commands.command()
def bench(
    name: Annotated[str, typer.Argument(help="Which one; a name that is none lists them.")],
    size: Annotated[Literal["small", "full"], typer.Option(help="`small` ends within a minute.")] = "small",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Measure what something costs beside its baselines; ends with 1 when a target is missed (needs a checkout)."""
    try:
        from benchmarks.registry import BENCHES
        from benchmarks.run import run
    except ModuleNotFoundError as error:
        if error.name != "benchmarks":
            raise
        raise StartError("The benches are in the repository alone: run this from a checkout of it.") from error

    if name not in BENCHES:
        raise typer.BadParameter(f"There is no bench '{name}'; there is: {', '.join(BENCHES)}.", param_hint="NAME")
    raise typer.Exit(run(name, BENCHES[name], size, as_json=as_json))


@accounts.command("create")
def create_account(
    name: Annotated[str, typer.Option(help="The customer's name.")],
    email: Annotated[str, typer.Option(help="The address of its first user, an admin.")],
    user_name: Annotated[str, typer.Option(help="The name of that user.")] = "",
) -> None:
    """Make an account with one admin, and print the API key; it is shown this once."""
    from salesmatter.accounts import create
    from salesmatter.stack import open_migrated_database

    with open_migrated_database() as database:
        made = asyncio.run(create(database, name=name, email=email, user_name=user_name or email))
    typer.echo(made.api_key)


@prompts.command("push")
def push_prompts() -> None:
    """Publish the prompts in Langfuse, under the numbers that their files give; what is there already stays."""
    from ai.prompts import all_prompts
    from ai.settings import AiSettings
    from ai.tracing.langfuse_prompts import push

    for pushed in push(AiSettings(), all_prompts()):
        typer.echo(f"{pushed.prompt.name} {pushed.prompt.version}: {pushed.outcome}")


def app() -> None:
    """Run the command line; what cannot be done is said in a sentence, with exit status 1."""
    try:
        checkout.read_dotenv()
        commands()
    except Exception as error:
        sentence = sentence_for(error)
        if sentence is None:
            raise
        sys.stderr.write(sentence + "\n")
        sys.exit(1)
