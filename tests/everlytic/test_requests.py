"""Tests that models become exactly the documented requests."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from everlytic.models import Address, Attachment, Mail, Personalisation, ProviderEventType, WebhookRegistration
from everlytic.requests import RequestBuilder, build_filter_parameters, build_mail_body, build_webhook_body
from everlytic.sandbox.validation import validate_mail, validate_webhook
from tests.everlytic.mails import make_mail

BUILDER = RequestBuilder(
    transactional_url="https://api.test/transactional/email/v1/",
    tenant_url="https://tenant.test/api/2.0",
    username="ann",
    api_key="s3cret:with colon",
)


def test_mail_body_is_the_documented_schema() -> None:
    """Each field of a mail has its place in the v1 schema, and absent fields are left out."""
    mail = make_mail(
        cc=[Address(email="cc@x.example")],
        bcc=[Address(email="bcc@x.example", name="Audit")],
        custom_headers={"X-Thing": "one"},
        template_id="1b0c2f0e-2c9c-4b0a-9d27-3b6a0e6f5a10",
        track_opens=True,
        track_links=False,
        personalisation=Personalisation(common={"a": "1"}, unique={"thandi@lead.example": {"b": "2"}}),
        attachments=[Attachment(filename="a.pdf", content=b"%PDF", content_id="cid")],
        track_attachments=True,
    )
    assert build_mail_body(mail) == {
        "headers": {
            "subject": "Hello",
            "message_id": "draft-1",
            "from": {"email": "rep@sales.example", "name": "Rep"},
            "to": [{"email": "thandi@lead.example", "name": "Thandi"}],
            "reply_to": {"email": "replies@sales.example"},
            "cc": [{"email": "cc@x.example"}],
            "bcc": [{"email": "bcc@x.example", "name": "Audit"}],
            "custom_headers": {"X-Thing": ["one"], "X-SalesMatter-Draft": ["draft-1"]},
        },
        "body": {
            "html": mail.html,
            "text": "Hello",
            "personalisation_fields": {
                "common_fields": {"a": "1"},
                "unique_fields": [{"thandi@lead.example": {"b": "2"}}],
            },
        },
        "options": {
            "group_name": "sequence-1",
            "template_id": "1b0c2f0e-2c9c-4b0a-9d27-3b6a0e6f5a10",
            "track_opens": True,
            "track_links": False,
        },
        "attachments": {
            "data": [{"filename": "a.pdf", "data": base64.b64encode(b"%PDF").decode(), "content_id": "cid"}],
            "options": {"track": True},
        },
    }


def test_a_minimal_mail_has_no_empty_fields() -> None:
    """A mail with a recipient, a sender, a subject and a text has only these fields."""
    mail = Mail.model_validate(
        {"to": [{"email": "a@b"}], "from_": {"email": "c@d"}, "subject": "Hello", "text": "Hello"}
    )
    assert build_mail_body(mail) == {
        "headers": {"subject": "Hello", "to": [{"email": "a@b"}], "from": {"email": "c@d"}},
        "body": {"text": "Hello"},
    }


@pytest.mark.parametrize("name", ["X-SalesMatter-Draft", "x-salesmatter-draft"])
def test_the_callers_message_header_is_kept(name: str) -> None:
    """A mail that already has the header, in any case, does not get a second one."""
    assert build_mail_body(make_mail(custom_headers={name: "own"}))["headers"]["custom_headers"] == {name: ["own"]}  # type: ignore[index] # the headers are an object


@pytest.mark.parametrize(
    ("email", "is_address"),
    [
        ("a@b", True),
        ("a@", False),
        ("@b", False),
        ("ab", False),
        ("abc", False),
        ("ab@", False),
        ("@ab", False),
        ("", False),
    ],
)
def test_an_address_has_a_local_part_and_a_domain(email: str, is_address: bool) -> None:
    """An address needs at least one character before and after the at sign."""
    if is_address:
        assert Address(email=email).email == email
        return
    with pytest.raises(ValidationError):
        Address(email=email)


@given(
    name=st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20),
    html=st.text(min_size=1, max_size=50),
    unique=st.dictionaries(st.emails(), st.dictionaries(st.text(max_size=5), st.text(max_size=5)), max_size=3),
    content=st.binary(max_size=30),
)
def test_every_valid_mail_passes_the_sandboxs_validation(
    name: str, html: str, unique: dict[str, dict[str, str]], content: bytes
) -> None:
    """Any mail that the model accepts is also valid under the documented schema."""
    mail = make_mail(
        from_=Address(email="rep@sales.example", name=name),
        html=html,
        personalisation=Personalisation(unique=unique),
        attachments=[Attachment(filename="f", content=content)],
    )
    fields, problems = validate_mail(json.loads(json.dumps(build_mail_body(mail))))
    assert problems == []
    assert fields["html"] == html


def test_line_breaks_in_headers_are_refused() -> None:
    """A line break in a subject, name, address or custom header is refused, which prevents header injection."""
    invalid: list[dict[str, object]] = [
        {"subject": "a\r\nBcc: x@y.z"},
        {"custom_headers": {"X": "a\nB: c"}},
        {"custom_headers": {"X\nY": "a"}},
        {"from_": {"email": "a@b.c", "name": "x\ny"}},
        {"to": [{"email": "a@b.c\nBcc: d@e.f"}]},
        {"message_id": "a\nb"},
    ]
    for fields in invalid:
        with pytest.raises(ValidationError, match="one line"):
            make_mail("lead@x.example", **fields)


@pytest.mark.parametrize("fields", [{"subject": None}, {"from_": None}, {"html": None, "text": None}, {"to": []}])
def test_an_incomplete_mail_is_refused(fields: dict[str, object]) -> None:
    """A mail without recipient, subject, sender or body cannot be created."""
    with pytest.raises(ValidationError):
        make_mail("lead@x.example", **fields)


def test_a_template_mail_needs_only_a_recipient() -> None:
    """A mail with a template id needs no subject, sender and body, because the template provides them."""
    mail = make_mail(template_id="1b0c2f0e-2c9c-4b0a-9d27-3b6a0e6f5a10", subject=None, from_=None, html=None, text=None)
    assert "subject" not in json.dumps(build_mail_body(mail))


def test_a_registration_is_complete_and_valid() -> None:
    """A registration with credentials has the auth type, and is valid under the documented schema."""
    body = build_webhook_body(WebhookRegistration(url="https://r.test/h", username="u", password=SecretStr("p")))
    assert body["auth_type"] == "basic"
    assert body["auth_details"] == {"username": "u", "password": "p"}
    assert validate_webhook(body)[1] == []


@pytest.mark.parametrize(
    "credentials", [{}, {"username": "u"}, {"password": SecretStr("p")}, {"username": None, "password": None}]
)
def test_incomplete_credentials_are_left_out(credentials: dict[str, object]) -> None:
    """A registration without a username or without a password has no authentication."""
    body = build_webhook_body(WebhookRegistration.model_validate({"url": "https://r.test/h", **credentials}))
    assert not {"auth_type", "auth_details"} & set(body)


def test_a_registration_has_the_chosen_options() -> None:
    """Each option of a registration is in its JSON."""
    body = build_webhook_body(
        WebhookRegistration(
            url="https://r.test/h",
            event_types=(ProviderEventType.OPEN,),
            verb="put",
            content_type="application/x-www-form-urlencoded",
            field_set="legacy",
            include_html=True,
        )
    )
    assert body == {
        "event_types": ["open"],
        "url": "https://r.test/h",
        "verb": "put",
        "content_type": "application/x-www-form-urlencoded",
        "field_set": "legacy",
        "settings": {"include_html": True},
    }


def test_the_key_is_in_the_header_and_not_in_the_repr() -> None:
    """The Authorization header has the credentials, and no repr shows them."""
    request = BUILDER.v1("POST", "mail", body={"a": 1})
    assert request.url == "https://api.test/transactional/email/v1/mail"
    decoded = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
    assert decoded == "ann:s3cret:with colon"
    assert "authorization" not in repr(request).lower()
    assert "s3cret" not in repr(BUILDER)


def test_path_parts_and_filters_are_escaped() -> None:
    """An id with a slash stays one path part, and a filter is sent in both forms."""
    assert BUILDER.v1("GET", "webhooks", "a/../b?c").url.endswith("/webhooks/a%2F..%2Fb%3Fc")
    assert build_filter_parameters(send_status=None, custom_headers={"X": "1"}) == {
        "custom_headers[X]": "1",
        "filters[custom_headers][X]": "1",
    }


def test_a_next_link_cannot_change_the_origin() -> None:
    """Only the path and query of a next link are used, so that another origin never gets the credentials."""
    followed = BUILDER.follow("tenant", "https://evil.test/api/2.0/trans_mails?page=2#x")
    assert followed.url == "https://tenant.test/api/2.0/trans_mails?page=2"
