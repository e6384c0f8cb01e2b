import os
import subprocess
import sys

from ai.prompts import all_prompts
from tests import ROOT
from tests.ai.langfuse_receiver import receiving


def push(**environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `salesmatter prompts push` as a person would, with these settings for Langfuse."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LANGFUSE_")}
    return subprocess.run(
        [sys.executable, "-m", "salesmatter", "prompts", "push"],
        cwd=ROOT,
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_prompt_of_the_repository_is_published() -> None:
    """The command publishes each prompt under its own number and says so line by line; again, nothing changes."""
    with receiving() as langfuse:
        keys = {
            "LANGFUSE_PUBLIC_KEY": langfuse.public_key,
            "LANGFUSE_SECRET_KEY": langfuse.secret_key,
            "LANGFUSE_BASE_URL": langfuse.url,
        }
        first, second = push(**keys), push(**keys)

    prompts = all_prompts()
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [f"{prompt.name} {prompt.version}: created" for prompt in prompts]
    assert second.stdout.splitlines() == [f"{prompt.name} {prompt.version}: unchanged" for prompt in prompts]
    assert {name: versions[-1]["prompt"] for name, versions in langfuse.prompts.items()} == {
        prompt.name: prompt.text for prompt in prompts
    }


def test_what_went_wrong_is_one_sentence() -> None:
    """Without a Langfuse to push to, the command ends with 1 and a sentence that says what to do."""
    result = push(LANGFUSE_PUBLIC_KEY="pk", LANGFUSE_SECRET_KEY="sk", LANGFUSE_BASE_URL="http://127.0.0.1:9")

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Langfuse at http://127.0.0.1:9 cannot be reached (")
    assert len(result.stderr.splitlines()) == 1
