from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from ai.errors import PromptsNotPushed
from ai.prompts import Prompt
from ai.settings import AiSettings
from ai.tracing.langfuse_prompts import push
from tests.ai.langfuse_receiver import LangfuseReceiver, receiving

FIRST = Prompt("email_generation/write", 1, "Write an email.")
SECOND = Prompt("email_generation/write", 2, "Write a short email.")
FOURTH = Prompt("email_generation/write", 4, "Write a very short email.")
OTHER = Prompt("intent_classification/label_reply", 1, "Label a reply.")


@pytest.fixture(scope="module")
def server() -> Iterator[LangfuseReceiver]:
    """Run one Langfuse project for all tests of this file."""
    with receiving() as opened:
        yield opened


@pytest.fixture
def receiver(server: LangfuseReceiver) -> LangfuseReceiver:
    """Give the project without any prompt, in good health."""
    server.prompts.clear()
    server.asked_labels.clear()
    server.status, server.body, server.loses_answers = None, None, False
    return server


def settings(receiver: LangfuseReceiver, **other: object) -> AiSettings:
    """Settings with the keys of the project."""
    found = {
        "langfuse_public_key": receiver.public_key,
        "langfuse_secret_key": SecretStr(receiver.secret_key),
        "langfuse_base_url": receiver.url,
        **other,
    }
    return AiSettings.model_validate(found)


def pushed(receiver: LangfuseReceiver, *prompts: Prompt) -> list[str]:
    """Push prompts and return what became of each."""
    return [one.outcome for one in push(settings(receiver), prompts)]


def test_prompts_are_published_under_their_own_numbers(receiver: LangfuseReceiver) -> None:
    """A prompt that is new is created as text with our label, as version 1, and says where the number is from."""
    assert pushed(receiver, FIRST, OTHER) == ["created", "created"]

    (made,) = receiver.prompts[FIRST.name]
    assert (made["version"], made["type"], made["prompt"]) == (1, "text", FIRST.text)
    assert set(made["labels"]) == {"production", "latest"}
    assert made["commitMessage"] == "Version 1, as numbered in the repository."
    assert set(receiver.prompts) == {FIRST.name, OTHER.name}


def test_pushing_again_changes_nothing(receiver: LangfuseReceiver) -> None:
    """Whoever pushes twice is told that nothing was to be done."""
    pushed(receiver, FIRST, OTHER)
    assert pushed(receiver, FIRST, OTHER) == ["unchanged", "unchanged"]
    assert [len(versions) for versions in receiver.prompts.values()] == [1, 1]


def test_a_raised_number_is_a_new_version(receiver: LangfuseReceiver) -> None:
    """A changed text under the next number is added, and the label moves to it."""
    pushed(receiver, FIRST)
    assert pushed(receiver, SECOND) == ["created"]
    assert [version["prompt"] for version in receiver.prompts[FIRST.name]] == [FIRST.text, SECOND.text]
    assert receiver.labels(FIRST.name) == {1: [], 2: ["production", "latest"]}


def test_numbers_that_the_project_never_saw_are_filled_up(receiver: LangfuseReceiver) -> None:
    """A project that missed versions, or is new, still has the number of the file; only that one is labelled."""
    pushed(receiver, FIRST)
    assert pushed(receiver, FOURTH) == ["created"]
    assert receiver.labels(FIRST.name) == {1: [], 2: [], 3: [], 4: ["production", "latest"]}
    assert receiver.asked_labels == [["production"], [], [], ["production"]]
    assert receiver.prompts[FIRST.name][2]["commitMessage"] == "Fills up the numbers to the repository's version 4."


def test_a_label_that_was_taken_away_is_given_back(receiver: LangfuseReceiver) -> None:
    """Version and text are there but another version is handed out: pushing sets that right."""
    pushed(receiver, FIRST)
    pushed(receiver, SECOND)
    receiver.label_prompt(FIRST.name, 1, ["production"])
    assert pushed(receiver, SECOND) == ["labelled"]
    assert receiver.labels(FIRST.name) == {1: [], 2: ["latest", "production"]}


@pytest.mark.parametrize(
    ("there", "file", "sentence"),
    [
        (
            FIRST,
            Prompt(FIRST.name, 1, "Write two emails."),
            (
                "Version 1 of email_generation/write has another text in Langfuse: a change of the text needs a new "
                "number, so set the file's version to 2. Nothing was pushed."
            ),
        ),
        (
            SECOND,
            FIRST,
            (
                "Langfuse has version 2 of email_generation/write, the file has version 1: take over what was changed "
                "there, and set the file's version to 3. Nothing was pushed."
            ),
        ),
    ],
)
def test_a_number_that_is_taken_is_refused(
    receiver: LangfuseReceiver, there: Prompt, file: Prompt, sentence: str
) -> None:
    """A forgotten or outdated number is told with what to do, and not even the prompts in order are pushed."""
    pushed(receiver, there)
    before = receiver.labels(there.name)

    with pytest.raises(PromptsNotPushed) as raised:
        pushed(receiver, OTHER, file)

    assert str(raised.value) == sentence
    assert receiver.labels(there.name) == before
    assert OTHER.name not in receiver.prompts


def test_wrong_keys_are_told(receiver: LangfuseReceiver) -> None:
    """A project that does not know the keys is named, with the settings to look at."""
    with pytest.raises(PromptsNotPushed, match=r"refuses the keys \(HTTP status 401\): check LANGFUSE_PUBLIC_KEY"):
        list(push(settings(receiver, langfuse_secret_key=SecretStr("sk-other")), [FIRST]))


def test_no_keys_are_told() -> None:
    """Without keys there is no project: the settings that are missing are named."""
    with pytest.raises(PromptsNotPushed, match="Set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"):
        list(push(AiSettings(langfuse_public_key=None, langfuse_secret_key=None), [FIRST]))


def test_nobody_there_is_told(receiver: LangfuseReceiver) -> None:
    """An address at which nobody listens is named with its setting."""
    away = settings(receiver, langfuse_base_url="http://127.0.0.1:9")
    with pytest.raises(PromptsNotPushed, match=r"http://127\.0\.0\.1:9 cannot be reached .*check LANGFUSE_BASE_URL"):
        list(push(away, [FIRST]))


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (503, b'{"message": "down"}', "answered with HTTP status 503: push again later"),
        (502, b"<html>Bad gateway</html>", "answered with HTTP status 502: push again later"),
        (500, b"", "answered with HTTP status 500: push again later"),
        (429, b"{}", "answered with HTTP status 429: push again later"),
        (401, b"{}", r"refuses the keys \(HTTP status 401\): check LANGFUSE_PUBLIC_KEY"),
        (403, b"{}", r"refuses the keys \(HTTP status 403\): check LANGFUSE_PUBLIC_KEY"),
        (499, b"{}", r"is not Langfuse \(HTTP status 499\): check LANGFUSE_BASE_URL"),
        (200, b"", "is not Langfuse"),
        (200, b'{"name": "x", "ver', "is not Langfuse"),
        (200, b"<html>Welcome</html>", r"is not Langfuse \(HTTP status 200\): check LANGFUSE_BASE_URL"),
        (200, b'{"hello": "world"}', "is not Langfuse: check LANGFUSE_BASE_URL"),
        (404, b"<html>Not found</html>", r"is not Langfuse \(HTTP status 404\): check LANGFUSE_BASE_URL"),
    ],
)
def test_a_broken_or_strange_server_is_told(
    receiver: LangfuseReceiver, status: int, body: bytes, sentence: str
) -> None:
    """Whatever else answers, the person learns whether to wait or to look at the address."""
    receiver.status, receiver.body = status, body
    with pytest.raises(PromptsNotPushed, match=sentence):
        pushed(receiver, FIRST)


def test_a_prompt_that_arrived_without_an_answer_is_not_sent_again(receiver: LangfuseReceiver) -> None:
    """A creation that Langfuse answers with an error is not repeated, and the next push finds what arrived."""
    receiver.loses_answers = True
    with pytest.raises(PromptsNotPushed, match="push again later"):
        pushed(receiver, FIRST)
    assert receiver.asked_labels == [["production"]]
    receiver.loses_answers = False
    assert pushed(receiver, FIRST) == ["unchanged"]
    assert [version["version"] for version in receiver.prompts[FIRST.name]] == [1]


def test_a_number_given_to_somebody_else_is_told(receiver: LangfuseReceiver) -> None:
    """When another push comes between looking and publishing, the next number is not taken for ours."""
    pushing = push(settings(receiver), [OTHER, FIRST])
    assert next(pushing).outcome == "created"
    receiver.create_prompt({"name": FIRST.name, "prompt": "Somebody else's."})
    with pytest.raises(PromptsNotPushed, match="was given the number 2 by Langfuse: somebody else pushed"):
        next(pushing)
