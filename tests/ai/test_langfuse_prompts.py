from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from ai.errors import PromptsNotPushed
from ai.prompts import Prompt
from ai.settings import AiSettings
from ai.tracing.langfuse_prompts import push_prompts
from tests.ai.langfuse_receiver import LangfuseReceiver, run_receiver

FIRST = Prompt("email_generation/write", 1, "Write an email.")
SECOND = Prompt("email_generation/write", 2, "Write a short email.")
FOURTH = Prompt("email_generation/write", 4, "Write a very short email.")
OTHER = Prompt("intent_classification/label_reply", 1, "Label a reply.")


@pytest.fixture(scope="module")
def server() -> Iterator[LangfuseReceiver]:
    """A Langfuse project for all tests of this file."""
    with run_receiver() as opened:
        yield opened


@pytest.fixture
def receiver(server: LangfuseReceiver) -> LangfuseReceiver:
    """The project without prompts and failures."""
    server.prompts.clear()
    server.created_labels.clear()
    server.status, server.body, server.loses_responses = None, None, False
    return server


def settings(receiver: LangfuseReceiver, **other: object) -> AiSettings:
    """Return settings with the keys of the project."""
    values = {
        "langfuse_public_key": receiver.public_key,
        "langfuse_secret_key": SecretStr(receiver.secret_key),
        "langfuse_base_url": receiver.url,
        **other,
    }
    return AiSettings.model_validate(values)


def push_all(receiver: LangfuseReceiver, *prompts: Prompt) -> list[str]:
    """Push prompts and return the outcomes."""
    return [result.outcome for result in push_prompts(settings(receiver), prompts)]


def test_new_prompts_are_created_with_their_version(receiver: LangfuseReceiver) -> None:
    """A new prompt is created as text with our label as version 1, with a commit message."""
    assert push_all(receiver, FIRST, OTHER) == ["created", "created"]

    (version,) = receiver.prompts[FIRST.name]
    assert (version["version"], version["type"], version["prompt"]) == (1, "text", FIRST.text)
    assert set(version["labels"]) == {"production", "latest"}
    assert version["commitMessage"] == "Version 1, as numbered in the repository."
    assert set(receiver.prompts) == {FIRST.name, OTHER.name}


def test_pushing_again_changes_nothing(receiver: LangfuseReceiver) -> None:
    """A second push reports all prompts as unchanged."""
    push_all(receiver, FIRST, OTHER)
    assert push_all(receiver, FIRST, OTHER) == ["unchanged", "unchanged"]
    assert [len(versions) for versions in receiver.prompts.values()] == [1, 1]


def test_an_increased_version_is_created(receiver: LangfuseReceiver) -> None:
    """A changed text with the next version is created, and the label moves to it."""
    push_all(receiver, FIRST)
    assert push_all(receiver, SECOND) == ["created"]
    assert [version["prompt"] for version in receiver.prompts[FIRST.name]] == [FIRST.text, SECOND.text]
    assert receiver.labels(FIRST.name) == {1: [], 2: ["production", "latest"]}


def test_missing_versions_are_created(receiver: LangfuseReceiver) -> None:
    """Versions that the project lacks are created first, and only the version of the file gets the label."""
    push_all(receiver, FIRST)
    assert push_all(receiver, FOURTH) == ["created"]
    assert receiver.labels(FIRST.name) == {1: [], 2: [], 3: [], 4: ["production", "latest"]}
    assert receiver.created_labels == [["production"], [], [], ["production"]]
    assert receiver.prompts[FIRST.name][2]["commitMessage"] == "Placeholder before the repository's version 4."


def test_a_removed_label_is_restored(receiver: LangfuseReceiver) -> None:
    """If another version has the label, a push moves it back to the version of the file."""
    push_all(receiver, FIRST)
    push_all(receiver, SECOND)
    receiver.label_prompt(FIRST.name, 1, ["production"])
    assert push_all(receiver, SECOND) == ["labelled"]
    assert receiver.labels(FIRST.name) == {1: [], 2: ["latest", "production"]}


@pytest.mark.parametrize(
    ("published", "file", "sentence"),
    [
        (
            FIRST,
            Prompt(FIRST.name, 1, "Write two emails."),
            (
                "Version 1 of email_generation/write has another text in Langfuse. Set the file's version to 2. "
                "Nothing was pushed."
            ),
        ),
        (
            SECOND,
            FIRST,
            (
                "Langfuse has version 2 of email_generation/write, and the file has version 1. Copy the changes from "
                "Langfuse, and set the file's version to 3. Nothing was pushed."
            ),
        ),
    ],
)
def test_a_conflicting_version_is_refused(
    receiver: LangfuseReceiver, published: Prompt, file: Prompt, sentence: str
) -> None:
    """The error for an outdated version or a changed text says what to do, and no prompt is pushed."""
    push_all(receiver, published)
    before = receiver.labels(published.name)

    with pytest.raises(PromptsNotPushed) as raised:
        push_all(receiver, OTHER, file)

    assert str(raised.value) == sentence
    assert receiver.labels(published.name) == before
    assert OTHER.name not in receiver.prompts


def test_wrong_keys_are_reported(receiver: LangfuseReceiver) -> None:
    """The error for wrong keys names the settings to check."""
    with pytest.raises(PromptsNotPushed, match=r"refuses the keys \(HTTP status 401\)\. Check LANGFUSE_PUBLIC_KEY"):
        list(push_prompts(settings(receiver, langfuse_secret_key=SecretStr("sk-other")), [FIRST]))


def test_missing_keys_are_reported() -> None:
    """The error for missing keys names the settings."""
    with pytest.raises(PromptsNotPushed, match="Set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"):
        list(push_prompts(AiSettings(langfuse_public_key=None, langfuse_secret_key=None), [FIRST]))


def test_an_unreachable_server_is_reported(receiver: LangfuseReceiver) -> None:
    """The error for an unreachable server has its URL and the setting."""
    away = settings(receiver, langfuse_base_url="http://127.0.0.1:9")
    with pytest.raises(PromptsNotPushed, match=r"http://127\.0\.0\.1:9 cannot be reached .*Check LANGFUSE_BASE_URL"):
        list(push_prompts(away, [FIRST]))


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (503, b'{"message": "down"}', "returned HTTP status 503. Push again later"),
        (502, b"<html>Bad gateway</html>", "returned HTTP status 502. Push again later"),
        (500, b"", "returned HTTP status 500. Push again later"),
        (429, b"{}", "returned HTTP status 429. Push again later"),
        (401, b"{}", r"refuses the keys \(HTTP status 401\)\. Check LANGFUSE_PUBLIC_KEY"),
        (403, b"{}", r"refuses the keys \(HTTP status 403\)\. Check LANGFUSE_PUBLIC_KEY"),
        (499, b"{}", r"is not Langfuse \(HTTP status 499\)\. Check LANGFUSE_BASE_URL"),
        (200, b"", "is not Langfuse"),
        (200, b'{"name": "x", "ver', "is not Langfuse"),
        (200, b"<html>Welcome</html>", r"is not Langfuse \(HTTP status 200\)\. Check LANGFUSE_BASE_URL"),
        (200, b'{"hello": "world"}', "is not Langfuse. Check LANGFUSE_BASE_URL"),
        (404, b"<html>Not found</html>", r"is not Langfuse \(HTTP status 404\)\. Check LANGFUSE_BASE_URL"),
    ],
)
def test_unexpected_responses_are_reported(receiver: LangfuseReceiver, status: int, body: bytes, sentence: str) -> None:
    """The error says whether to push again later or to check the settings."""
    receiver.status, receiver.body = status, body
    with pytest.raises(PromptsNotPushed, match=sentence):
        push_all(receiver, FIRST)


def test_a_creation_with_a_lost_response_is_not_repeated(receiver: LangfuseReceiver) -> None:
    """A creation whose response is an error is not repeated, and the next push finds the created version."""
    receiver.loses_responses = True
    with pytest.raises(PromptsNotPushed, match="Push again later"):
        push_all(receiver, FIRST)
    assert receiver.created_labels == [["production"]]
    receiver.loses_responses = False
    assert push_all(receiver, FIRST) == ["unchanged"]
    assert [version["version"] for version in receiver.prompts[FIRST.name]] == [1]


def test_a_concurrent_push_is_reported(receiver: LangfuseReceiver) -> None:
    """If another push creates a version between the check and the creation, the error says so."""
    pushing = push_prompts(settings(receiver), [OTHER, FIRST])
    assert next(pushing).outcome == "created"
    receiver.create_prompt({"name": FIRST.name, "prompt": "Another text."})
    with pytest.raises(PromptsNotPushed, match="as version 2, because another push ran at the same time"):
        next(pushing)
