"""Tests the HTTP APIs of the sandbox: validation, envelopes, legacy sends, paging and their switches."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everlytic.sandbox.validation import validate_mail, validate_webhook
from tests.sandbox import Sandbox

MAIL: dict[str, Any] = {
    "headers": {"subject": "s", "from": {"email": "a@b.example"}, "to": [{"email": "c@d.example"}]},
    "body": {"text": "t"},
}
LEGACY: dict[str, Any] = {
    "headers": {"subject": "s", "from": {"a@b.example": "A"}, "to": {"c@d.example": "C"}},
    "body": {"html": "<p>x</p>"},
    "options": {"track_opens": "yes", "track_links": "no", "batch_send": "no"},
}


class Account:
    """A new username and its requests."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.username = sandbox.new_username()
        self.sandbox = sandbox
        self.auth = (self.username, f"sandbox-key-{self.username}")

    def call(self, method: str, path: str, body: object = None, **query: Any) -> httpx.Response:
        """Send one request."""
        content = None if body is None else json.dumps(body)
        return self.sandbox.control.request(method, path, content=content, params=query, auth=self.auth)

    def set_switches(self, **switches: object) -> None:
        """Set switches for this username."""
        self.sandbox.tell("scenarios", username=self.username, switches=switches)


@pytest.fixture
def account(sandbox: Sandbox) -> Account:
    """Return a new username."""
    return Account(sandbox)


def changed_mail(path: str, value: object) -> dict[str, Any]:
    """Return the valid mail with one field changed."""
    mail: dict[str, Any] = json.loads(json.dumps(MAIL))
    *outer, last = path.split(".")
    inner = mail
    for part in outer:
        inner = inner.setdefault(part, {})
    inner[last] = value
    return mail


@pytest.mark.parametrize(
    ("mail", "location", "reason"),
    [
        ({}, "headers", "required"),
        (changed_mail("headers.to", []), "headers.to", "required"),
        (changed_mail("headers.to", "c@d.example"), "headers.to", "invalid"),
        (changed_mail("headers.to", [{"email": "no-address"}]), "headers.to.0.email", "invalid"),
        (changed_mail("headers.from", {"name": "x"}), "headers.from.email", "required"),
        (changed_mail("headers.subject", ""), "headers.subject", "required"),
        (changed_mail("headers.custom_headers", {"X": "text"}), "headers.custom_headers", "invalid"),
        (changed_mail("body.text", None), "body.html", "required"),
        (changed_mail("body.html", 3), "body.html", "invalid"),
        (changed_mail("options.track_opens", "yes"), "options.track_opens", "invalid"),
        (
            changed_mail("body.personalisation_fields.unique_fields", {"a": {}}),
            "body.personalisation_fields.unique_fields",
            "invalid",
        ),
        (changed_mail("attachments.data", [{"filename": "a", "data": "%%"}]), "attachments.data.0.data", "invalid"),
        (changed_mail("attachments.options.track", 1), "attachments.options.track", "invalid"),
    ],
)
def test_an_invalid_mail_is_refused(account: Account, mail: object, location: str, reason: str) -> None:
    """Each violation of the documented schema gives 400 with location and reason, and no mail is captured."""
    response = account.call("POST", "/transactional/email/v1/mail", mail)
    assert response.status_code == 400
    problems = {(problem["location"], problem["reason"]) for problem in response.json()["error"]["errors"]}
    assert (location, reason) in problems
    assert account.sandbox.ask("mails", username=account.username) == []


def test_malformed_json_is_400(account: Account) -> None:
    """Both APIs refuse a body that is not a JSON object, each with its own error body."""
    v1 = account.call("POST", "/transactional/email/v1/mail", [1])
    assert (v1.status_code, v1.json()["code"]) == (400, 400)
    tenant = account.call("POST", "/api/2.0/trans_mails", [1])
    assert (tenant.status_code, tenant.json()["error"]["code"]) == (400, "400")
    deep = account.call("POST", "/transactional/email/v1/mail", changed_mail("x", json.loads("[" * 64 + "]" * 64)))
    assert (deep.status_code, deep.json()["code"]) == (400, 400)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.just("a@b.example"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "headers",
                    "to",
                    "from",
                    "email",
                    "body",
                    "html",
                    "options",
                    "url",
                    "verb",
                    "event_types",
                    "auth_details",
                    "settings",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from(["headers", "body", "options", "attachments", "url", "event_types", "verb"]), _JSON)
)
def test_any_object_is_valid_or_has_problems(value: dict[str, Any]) -> None:
    """Validating any JSON object gives fields and problems and never an exception."""
    for validate in (validate_mail, validate_webhook):
        fields, problems = validate(value)
        assert fields
        assert all(path and reason in {"required", "invalid"} for path, reason, _ in problems)


@pytest.mark.parametrize(
    ("change", "location"),
    [
        ({"event_types": ["reply"]}, "event_types"),
        ({"event_types": []}, "event_types"),
        ({"url": "not a url"}, "url"),
        ({"verb": "POST"}, "verb"),
        ({"content_type": "text/xml"}, "content_type"),
        ({"field_set": {}}, "field_set"),
        ({"auth_details": {"username": "u"}}, "auth_details.password"),
        ({"auth_details": {"username": "u", "password": "p"}}, "auth_type"),
    ],
)
def test_an_invalid_webhook_is_refused(account: Account, change: dict[str, object], location: str) -> None:
    """A registration with an invalid enum value or without a conditional field gives 400 with the location."""
    webhook = {"event_types": ["sent"], "url": "http://127.0.0.1:9/", "verb": "post", **change}
    response = account.call("POST", "/transactional/email/v1/webhooks", webhook)
    assert response.status_code == 400
    assert location in {problem["location"] for problem in response.json()["error"]["errors"]}


def test_both_apis_have_their_own_401(sandbox: Sandbox) -> None:
    """A 401 of v1 has the documented body with an integer code, a 401 of the tenant API a text code."""
    v1 = sandbox.control.post("/transactional/email/v1/mail", json=MAIL)
    assert v1.status_code == 401
    assert v1.json() == {
        "code": 401,
        "message": "Login Required",
        "error": {
            "errors": [
                {"domain": "global", "reason": "required", "message": "Login Required"}
                | {"locationType": "request", "location": "authorization"}
            ]
        },
    }
    assert sandbox.control.get("/api/2.0/trans_mails/").json()["error"]["code"] == "401"


@pytest.mark.parametrize("is_plain", [False, True])
def test_a_legacy_send_in_both_formats(account: Account, is_plain: bool) -> None:
    """Address maps and plain strings are both accepted with 201, and the transaction can be read."""
    mail = json.loads(json.dumps(LEGACY))
    if is_plain:
        mail["headers"] |= {"from": "a@b.example", "to": "c@d.example", "reply_to": "r@b.example"}
        mail["attachments"] = []
    response = account.call("POST", "/api/2.0/trans_mails", mail)
    assert response.status_code == 201
    item = account.call("GET", f"/api/2.0/trans_mails/{response.json()['item']['id']}").json()["item"]
    assert (item["send_email_to"], item["send_status"], len(item["id"])) == ("c@d.example", "queued", 24)


def test_a_legacy_400_that_was_delivered(account: Account) -> None:
    """With the fault a send gives 400 with code 10601 as text, and the mail is sent."""
    fault = {"name": "bad_request_but_delivered", "probability": 1}
    account.sandbox.tell("scenarios", username=account.username, scenarios=[fault])
    response = account.call("POST", "/api/2.0/trans_mails", LEGACY)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "10601")
    assert len(account.sandbox.ask("mails", username=account.username)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"headers": {"subject": "s", "from": {"a@b.example": "A"}}},
        {"body": {}},
        {"options": {"track_opens": True}},
        {"headers": {**LEGACY["headers"], "bcc": {"x@y.example": "", "z@y.example": ""}}},
    ],
)
def test_an_invalid_legacy_send_is_refused(account: Account, change: dict[str, Any]) -> None:
    """Missing fields, booleans instead of yes and no, and a second bcc give 400, and nothing is sent."""
    assert account.call("POST", "/api/2.0/trans_mails", {**LEGACY, **change}).status_code == 400
    assert account.sandbox.ask("mails", username=account.username) == []


def test_paging_and_filters_of_transactions(account: Account) -> None:
    """The count is used and limited, next exists only before the last page, and both filter forms work."""
    for n in range(5):
        mail = changed_mail("options.group_name", f"g{n % 2}")
        account.call("POST", "/transactional/email/v1/mail", mail)
    path = "/api/2.0/trans_mails/"
    first = account.call("GET", path, count=2).json()
    assert len(first["collection"]) == 2
    rels = [link["rel"] for link in first["links"]]
    assert rels == ["self", "home", "next"]
    last = account.call("GET", path, count=2, page=3).json()
    assert len(last["collection"]) == 1
    assert "next" not in [link["rel"] for link in last["links"]]
    assert account.call("GET", path, count=2, page=9).json()["collection"] == []
    assert account.call("GET", path, count=500).status_code == 200
    for page in ("x", "0", "9" * 5000):
        assert account.call("GET", path, page=page).status_code == 400
    for parameter in ("trans_group_name", "filters[trans_group_name]"):
        assert len(account.call("GET", path, **{parameter: "g1"}).json()["collection"]) == 2
    account.set_switches(count_over_maximum="reject", filter_spelling="plain")
    assert account.call("GET", path, count=500).status_code == 400
    assert len(account.call("GET", path, **{"filters[trans_group_name]": "g1"}).json()["collection"]) == 5


def test_switches_of_the_send(account: Account) -> None:
    """Ids per request, quota, duplicates, copies, and the statuses of refusals follow their switches."""
    v1 = "/transactional/email/v1/mail"
    two_recipients = changed_mail("headers.to", [{"email": "a@x.example"}, {"email": "b@x.example"}])
    account.set_switches(transactions_per="request")
    assert len(account.call("POST", v1, two_recipients).json()["transactions"]) == 1
    account.set_switches(transactions_per="recipient", copies_make_transactions=True)
    with_copy = changed_mail("headers.cc", [{"email": "cc@x.example"}])
    assert len(account.call("POST", v1, with_copy).json()["transactions"]) == 2
    account.set_switches(duplicate_message_id="reject", invalid_status=422, unknown_template_status=400)
    with_id = changed_mail("headers.message_id", "once")
    assert [account.call("POST", v1, with_id).status_code for _ in range(2)] == [200, 422]
    assert account.call("POST", v1, changed_mail("options.template_id", "nope")).status_code == 400
    account.set_switches(quota=1, quota_status=403)
    assert account.call("POST", v1, MAIL).status_code == 403


def test_v1_mails_can_be_hidden_from_the_tenant_api(account: Account) -> None:
    """With the switch off, lists, items and events of the tenant API do not include v1 mails."""
    response = account.call("POST", "/transactional/email/v1/mail", MAIL)
    account.sandbox.advance(120)
    account.sandbox.settle()
    account.set_switches(v1_visible_in_legacy=False)
    assert account.call("GET", "/api/2.0/trans_mails").json()["collection"] == []
    assert account.call("GET", "/api/2.0/trans_callback_events/").json()["collection"] == []
    transaction_id = response.json()["transactions"][0]["id"]
    assert account.call("GET", f"/api/2.0/trans_mails/{transaction_id}").status_code == 404


def test_data_is_separate_per_username(sandbox: Sandbox) -> None:
    """A username cannot read another's mails, and resetting one keeps the other's data."""
    ann, ben = Account(sandbox), Account(sandbox)
    transaction_id = ann.call("POST", "/transactional/email/v1/mail", MAIL).json()["transactions"][0]["id"]
    assert ben.call("GET", f"/api/2.0/trans_mails/{transaction_id}").status_code == 404
    sandbox.tell("reset", username=ben.username)
    assert ann.call("GET", f"/api/2.0/trans_mails/{transaction_id}").status_code == 200
    sandbox.tell("reset", username=ann.username)
    assert ann.call("GET", f"/api/2.0/trans_mails/{transaction_id}").status_code == 404


def test_the_control_plane_explains_errors(account: Account) -> None:
    """Unknown mails, scenarios and switches and missing usernames are refused with a sentence."""
    control = account.sandbox.control
    for path, body, status in (
        ("events", {"username": account.username, "transaction_id": "x", "type": "open"}, 404),
        ("scenarios", {"scenarios": [{"name": "storm"}]}, 422),
        ("scenarios", {"scenarios": ["storm"]}, 422),
        ("scenarios", {"switches": {"opted_out": 3}}, 422),
        ("clock/advance", {"seconds": -1}, 422),
        ("credentials", {"username": ""}, 422),
    ):
        response = control.post(f"/__sandbox__/{path}", json=body)
        assert (response.status_code, bool(response.json()["detail"])) == (status, True)
    assert control.get("/__sandbox__/ledger").status_code == 422
