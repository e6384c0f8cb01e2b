import os
import subprocess
import sys

from ai.prompts import list_prompts
from tests import ROOT
from tests.ai.langfuse_receiver import run_receiver


def push(**environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `salesmatter prompts push` as a user would, with these settings for Langfuse."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LANGFUSE_")}
    return subprocess.run(
        [sys.executable, "-m", "salesmatter", "prompts", "push"],
        cwd=ROOT,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_prompt_of_the_repository_is_published() -> None:
    """The command publishes each prompt under its version and prints a line for it; a second run changes nothing."""
    with run_receiver() as langfuse:
        keys = {
            "LANGFUSE_PUBLIC_KEY": langfuse.public_key,
            "LANGFUSE_SECRET_KEY": langfuse.secret_key,
            "LANGFUSE_BASE_URL": langfuse.url,
        }
        first, second = push(**keys), push(**keys)

    prompts = list_prompts()
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [f"{prompt.name} {prompt.version}: created" for prompt in prompts]
    assert second.stdout.splitlines() == [f"{prompt.name} {prompt.version}: unchanged" for prompt in prompts]
    assert {name: versions[-1]["prompt"] for name, versions in langfuse.prompts.items()} == {
        prompt.name: prompt.text for prompt in prompts
    }


def test_an_error_is_one_sentence() -> None:
    """If Langfuse cannot be reached, the command exits with 1 and prints one sentence."""
    result = push(LANGFUSE_PUBLIC_KEY="pk", LANGFUSE_SECRET_KEY="sk", LANGFUSE_BASE_URL="http://127.0.0.1:9")

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Langfuse at http://127.0.0.1:9 cannot be reached (")
    assert len(result.stderr.splitlines()) == 1
