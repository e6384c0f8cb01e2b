"""What a mail is made of, and that the way out of it works for as long as the mail is kept."""

import asyncio
import re
from uuid import uuid4

import anyio.to_thread
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from ai.settings import AiSettings
from api.app import create_app
from api.delivery.sending.content import SenderIdentity, compose_mail
from api.settings import ApiSettings
from database.roles import owner_url
from domain.tracking import Tracking
from email_text.styles import MAX_TAGS, inline_styles
from everlytic.models import Address, Mail
from tests.api.sending_workspace import Outreach
from tests.tables import unchanged

pytestmark = pytest.mark.anyio

LINK = "https://x.example/u/abc"
ACME = SenderIdentity("Ann & Co", "ann@acme.example", "1 Long Street <left>\nCape Town")


def mail(
    text: str = "Hello", body_html: str = "<p>Hello</p>", identity: SenderIdentity = ACME, subject: str = "Hi"
) -> Mail:
    """Compose a mail of a text and an HTML body."""
    return compose_mail(
        draft_id=uuid4(),
        sequence_id=uuid4(),
        workspace_id=uuid4(),
        recipient=Address(email="thandi@lead.example"),
        identity=identity,
        subject=subject,
        text=text,
        body_html=body_html,
        unsubscribe_url=LINK,
        tracking=Tracking(opens=True, clicks=True),
    )


def html_of(body_html: str) -> str:
    """Return the HTML part of a mail with a body."""
    made = mail(body_html=body_html)
    assert made.html is not None
    return made.html


def test_styles_are_written_into_the_elements() -> None:
    """Style sheets become attributes, as mail programs want them; what cannot be one, a media query, stays."""
    made = html_of(
        "<html><head><style>p { color: red } .big { font-size: 20px }"
        " @media (max-width: 600px) { p { color: blue !important } }</style></head>"
        '<body><p class="big">Hello</p></body></html>'
    )
    assert re.search(r'<p class="big" style="[^"]*color: red[^"]*font-size: 20px', made)
    assert "p { color: red }" not in made
    assert "@media" in made
    assert made.count("<body") == made.count("</body>") == 1


async def test_nothing_is_fetched() -> None:
    """Sheets, imports and images that a body names are neither requested nor read from this machine."""
    requests: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.read(100))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x.css"
        body = (
            f'<link rel="stylesheet" href="{url}"><link rel="stylesheet" href="file:///etc/passwd">'
            f'<style>@import url("{url}"); p {{ background: url({url}) }}</style><p>Hello<img src="{url}">'
        )
        made = await asyncio.to_thread(html_of, body)
        # The server would serve an earlier connection before this one.
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(b"last")
        await reader.read()
        writer.close()
    assert requests == [b"last"]
    assert "Hello" in made
    assert "root:" not in made


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<",
        "<p",
        "Hello <!-- never closed",
        "<style>p { color: red",
        "<style>}}}{{{</style><p>x",
        "<style>@media x{@media y{",
        "<textarea>never closed",
        "<title>never closed",
        '<div style="display: none">',
        "</body></html>",
        "</div></p></table>x",
        "<table><p>x<tr>",
        "<a href='x",
        "<svg><style>p{}</style><![CDATA[ x",
        "\ud7ff\ufffe\x0b<p>é&nbsp;&#0;&bogus;",
        "<p>" * 1400,
        "<div>" * 20_000,
        "<b><i><u>" * 4_000 + "<p>x" * 4_000,
        "<style>" + "".join(f"p{{a{number}:b}}" for number in range(4_000)) + "</style>" + "<p>x" * 1_000,
        "<style>" + "* * * * * * *{color:red}" * 1_500 + "</style>" + "<div>" * 1_200,
    ],
)
def test_no_body_can_do_harm(body: str) -> None:
    """Broken or hostile HTML ends neither the send nor the process, and cannot swallow the way out."""
    made = html_of(body)
    footer = made[made.rindex("<hr>") :]
    assert f'<a href="{LINK}">Unsubscribe</a>' in footer
    assert made[: made.rindex("<hr>")].count("<!--") == made.count("-->")
    for swallowing in ("textarea", "title", "style"):
        assert made.count(f"<{swallowing}") == made.count(f"</{swallowing}>")


@pytest.mark.parametrize(
    "left_open",
    [
        "<!-- ",
        "<textarea>",
        "<title>",
        "<style>p { color: red",
        "<script>",
        "<template>",
        "<select>",
        "<xmp>",
        '<div style="display: none">',
        "<div hidden>",
        "<a href='x",
        '<p title="x>',
        "<p",
    ],
)
def test_what_is_left_open_in_long_html_swallows_nothing(left_open: str) -> None:
    """HTML that goes out as it is has the way out before it where something that is never closed would swallow it."""
    long = "<p>Hello</p>" * (MAX_TAGS + 1)
    way_out = f'<a href="{LINK}">Unsubscribe</a></small></p>'
    for body in (long + left_open, f"{long}{left_open} <p>x", f'{long}{left_open}<a href="{LINK}">out</a>'):
        made = html_of(body)
        assert made.endswith(body)
        assert made[: made.index(body)].endswith(f"{way_out}<hr>")
    assert html_of(long).startswith(long)
    assert html_of(long).endswith(way_out)


def test_what_can_never_be_closed_swallows_nothing() -> None:
    """Markup that turns everything after it into text has the unsubscribe link before it in short HTML too."""
    made = html_of("<p>Hello<plaintext>")
    assert made.index(f'<a href="{LINK}">Unsubscribe</a>') < made.index("<plaintext")


def test_html_that_would_take_long_goes_out_as_it_is() -> None:
    """Beyond what is done in milliseconds nothing is rewritten: it was HTML and stays HTML."""
    deep = "<style>p{color:red}</style>" + "<div>" * 20_000
    assert inline_styles(deep) == deep
    assert inline_styles("<style>p{color:red}</style><p>x") != "<style>p{color:red}</style><p>x"


@pytest.mark.parametrize(
    ("text", "body_html"),
    [("", '<p>Hello <a href="https://acme.example/">there</a></p>'), ("Hello https://acme.example/ there", " ")],
)
def test_each_part_is_made_of_the_other(text: str, body_html: str) -> None:
    """A mail always has both parts, and links survive the change."""
    made = mail(text=text, body_html=body_html)
    for part in (made.text, made.html):
        assert part is not None
        assert "Hello" in part
        assert "https://acme.example/" in part


def test_both_parts_say_who_writes_and_how_to_stop_it() -> None:
    """Identity and postal address stand in both, escaped in HTML, beside the link that the headers give as well."""
    made = mail()
    assert made.text is not None
    assert made.html is not None
    assert "Ann & Co\n1 Long Street <left>\nCape Town\n" in made.text
    assert "Ann &amp; Co<br>1 Long Street &lt;left&gt;<br>Cape Town<br>" in made.html
    assert LINK in made.text
    assert f'href="{LINK}"' in made.html
    feedback_id = made.custom_headers.pop("Feedback-ID")
    assert re.fullmatch(r"[0-9a-f-]{36}:[0-9a-f-]{36}:outreach:salesmatter", feedback_id[0])
    assert made.custom_headers == {
        "List-Unsubscribe": [f"<{LINK}>"],
        "List-Unsubscribe-Post": ["List-Unsubscribe=One-Click"],
    }


def test_a_header_is_one_line_whatever_was_written() -> None:
    """Line breaks in a name or a subject neither break the send nor make headers of their own."""
    made = mail(identity=SenderIdentity("Ann\r\nBcc: x@y.example", "ann@acme.example", ""), subject="Hi\nthere")
    assert made.from_ is not None
    assert (made.from_.name, made.subject) == ("Ann Bcc: x@y.example", "Hi there")


async def link_of(outreach: Outreach) -> str:
    """Have a mail sent and return the path of its unsubscribe link."""
    sequence_id = await outreach.add_sequence("One")
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    (sent,) = outreach.mails()
    return httpx.URL(sent["custom_headers"]["List-Unsubscribe"][0].strip("<>")).path


async def suppressed(outreach: Outreach) -> int:
    """Count who must not be mailed."""
    return len((await outreach.get("/suppressions"))["items"])


async def test_a_styled_template_arrives_inlined(outreach: Outreach) -> None:
    """From the step's template to what Everlytic was handed: styled elements, our message id, the draft's text."""
    sequence_id: str = (await outreach.post("/sequences", {"name": "Spring", "autoApprove": True})).json()["id"]
    body = "<style>p { color: #123456 }</style><p>Hello {{ first_name }}</p>"
    await outreach.post(f"/sequences/{sequence_id}/steps", {"subject": "One", "bodyTemplate": body})
    await outreach.post(f"/sequences/{sequence_id}/activate")
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))

    (sent,) = outreach.mails()
    (draft,) = (await outreach.get("/drafts"))["items"]
    assert '<p style="color: #123456;">Hello Thandi</p>' in sent["html"]
    assert sent["text"].startswith("Hello Thandi\n")
    assert sent["message_id"] == draft["id"]


async def test_links_survive_key_rotation(outreach: Outreach, api_settings: ApiSettings, database_url: str) -> None:
    """A link of before works while its key is among the keys, whichever is newest, and not once its key is gone."""
    link = await link_of(outreach)

    async def click(keys: str) -> int:
        rotated: FastAPI = create_app(
            api_settings.model_copy(update={"secret_key": SecretStr(keys)}), AiSettings(), owner_url(database_url)
        )
        async with (
            rotated.router.lifespan_context(rotated),
            httpx.AsyncClient(transport=httpx.ASGITransport(rotated), base_url="http://test") as stranger,
        ):
            return (await stranger.post(link, data={"List-Unsubscribe": "One-Click"})).status_code

    key = api_settings.secret_key.get_secret_value()
    assert await click("a newer key") == 404
    assert await suppressed(outreach) == 0
    assert await click(f"a newest key, a newer key, {key}") == 200
    assert await suppressed(outreach) == 1


async def test_looking_changes_nothing_and_clicking_may_be_repeated(
    outreach: Outreach, app: FastAPI, database_url: str
) -> None:
    """Scanners open links as often as they like; the one click acts without login, in either form, once and again."""
    link = await link_of(outreach)
    # So that the provider tells nothing more by itself.
    outreach.sandbox.forget()
    await anyio.to_thread.run_sync(outreach.sandbox.settle)
    await outreach.run_jobs()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as stranger:
        with unchanged(database_url, except_tables=()):
            for method in ("GET", "HEAD", "OPTIONS", "GET"):
                looked = await stranger.request(method, link)
                assert looked.status_code == {"OPTIONS": 204}.get(method, 200), method
        form, parts = {"List-Unsubscribe": "One-Click"}, {"List-Unsubscribe": (None, "One-Click")}
        assert (await stranger.post(link, files=parts)).status_code == 200
        assert await suppressed(outreach) == 1
        with unchanged(database_url):
            assert (await stranger.post(link, data=form)).status_code == 200
            assert (await stranger.get(link)).status_code == 200


def test_a_part_that_shows_the_way_out_gets_no_second() -> None:
    """Where the draft places the mail's own link, the footer says who writes and leaves it at that, part by part."""
    both = mail(text=f"Hello\n\nStop: {LINK}", body_html=f'<p>Hello</p><p><a href="{LINK}">Stop</a></p>')
    assert both.text is not None
    assert both.html is not None
    assert both.text.count(LINK) == both.html.count(LINK) == 1
    assert "Unsubscribe" not in both.text + both.html
    assert "1 Long Street <left>\nCape Town\n" in both.text
    assert "1 Long Street &lt;left&gt;<br>Cape Town</small>" in both.html
    in_text = mail(text=f"Hello {LINK}", body_html="<p>Hello</p>")
    assert in_text.text is not None
    assert in_text.html is not None
    assert in_text.text.count(LINK) == in_text.html.count(LINK) == 1


@pytest.mark.parametrize(
    "body",
    [
        f'<p>Hello</p><!-- <a href="{LINK}">out</a> -->',
        f'<div style="display:none"><a href="{LINK}">out</a></div>',
        f'<style>.gone {{ display: none }}</style><p class="gone"><a href="{LINK}">out</a></p>',
        f'<p>Hello <a href="{LINK}"></a></p>',
        f'<p>Hello <a href="{LINK}x">out</a></p>',
        f"<p>Hello {LINK}</p>",
        f'<title><a href="{LINK}">out</a></title>',
        f'<p>Hello <a style="font-size: 0" href="{LINK}">out</a></p>',
    ],
)
def test_an_invisible_unsubscribe_link_does_not_count(body: str) -> None:
    """A link in a comment, in what is not displayed, without words, or to elsewhere leaves the footer its own."""
    assert f'<a href="{LINK}">Unsubscribe</a>' in html_of(body)
