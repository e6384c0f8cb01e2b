import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bounce import MAX_FIELDS, BounceKind, classify_bounce, classify_status

ADDRESS, FULL, POLICY = BounceKind.ADDRESS, BounceKind.MAILBOX_FULL, BounceKind.POLICY
AUTHENTICATION, CONTENT, UNKNOWN = BounceKind.AUTHENTICATION, BounceKind.CONTENT, BounceKind.UNKNOWN


@pytest.mark.parametrize(
    ("type_", "reason", "kind"),
    [
        ("soft", "4.2.2 mailbox full", FULL),
        ("Soft", "4.2.2 mailbox full", FULL),
        (" SOFT ", "greylisted", UNKNOWN),
        ("transient", "4.7.1 try again later", UNKNOWN),
        (None, "4.4.1 connection timed out", UNKNOWN),
        ("hard", "5.1.1 user unknown", ADDRESS),
        ("HARD", "5.1.1 user unknown", ADDRESS),
        (None, "550 5.1.1 no such user", ADDRESS),
        (None, "", UNKNOWN),
        ("hard", None, ADDRESS),
        ("Hard Bounce", "", ADDRESS),
        ("hard-bounce", "550 rejected", ADDRESS),
        ("hard", "policy-related", POLICY),
        ("hard", "Policy_Related", POLICY),
        ("PolicyRelated", None, POLICY),
        ("soft", "policy-related", UNKNOWN),
        ("soft", "user unknown", UNKNOWN),
        ("soft", "5.1.1 user unknown", UNKNOWN),
        ("hard", "4.2.2 over quota", FULL),
        ("hard", "4.1.1 unknown", UNKNOWN),
        ("hard", "MailboxFull", FULL),
        ("hard", "mailbox-full", FULL),
        ("hard", "user-unknown", ADDRESS),
        ("hard", "domain-not-found", ADDRESS),
        ("hard", "mailbox-disabled", ADDRESS),
        ("hard", "5.4.14 hop count exceeded", UNKNOWN),
        ("hard", "unidentified", UNKNOWN),
        ("hard", "connection-timeout", UNKNOWN),
        ("hard", "550 5.7.26 unauthenticated email is not accepted", AUTHENTICATION),
        ("hard", "550 5.7.1 message failed DMARC", AUTHENTICATION),
        ("soft", "421 4.7.26 SPF and DKIM did not pass", AUTHENTICATION),
        ("hard", "554 5.7.1 listed at spamhaus", POLICY),
        ("hard", "553 5.1.8 sender domain does not exist", POLICY),
        ("hard", "sender address rejected: domain not found", POLICY),
        ("hard", "550 5.7.133 sender not authenticated for group", UNKNOWN),
        ("hard", "554 5.6.0 malformed message", CONTENT),
        ("hard", "552 5.3.4 message too big", CONTENT),
        ("hard", "attachment-rejected", CONTENT),
        ("block", "blocked", POLICY),
        (None, "550 <spam@policy.example>: Recipient address rejected: User unknown", ADDRESS),
        (None, "550 your IP address was rejected by blocklist", POLICY),
        (None, "mail from 5.1.1.10 was refused", UNKNOWN),
        ("5xx", "unknown user", ADDRESS),
        (None, "450 user unknown", UNKNOWN),
    ],
)
def test_a_bounce_is_named_by_its_reason_then_by_its_class(
    type_: str | None, reason: str | None, kind: BounceKind
) -> None:
    """Each spelling of a class and reason gives its kind; a temporary class is never about the address."""
    assert classify_bounce({"bounce_type": type_, "bounce_reason": reason}) is kind


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({}, UNKNOWN),
        ({"bounceType": "Permanent", "bounceSubType": "General"}, ADDRESS),
        ({"bounce": {"type": "Permanent", "sub_type": "NoEmail"}}, ADDRESS),
        ({"bounce": {"bouncedRecipients": [{"status": "5.1.1", "diagnosticCode": "smtp; 550 user unknown"}]}}, ADDRESS),
        ({"bounce": {"type": "Transient", "subType": "MailboxFull"}}, FULL),
        ({"bounce": '{"class": "hard", "reason": "policy-related"}'}, POLICY),
        ({"BOUNCE-TYPE": "hard", "Bounce Reason": "spam"}, POLICY),
        ({"hard_bounce": True}, ADDRESS),
        ({"hard_bounce": False}, UNKNOWN),
        ({"bounce_code": 550, "bounce_type": "hard"}, ADDRESS),
        ({"bounce_category": "bad-mailbox"}, ADDRESS),
        ({"bounce_category": "address"}, ADDRESS),
        ({"email_bounce_type": "hard"}, ADDRESS),
        ({"bounce_type": "soft", "recipient": "hard@user-unknown.example"}, UNKNOWN),
        ({"message_id": "5.1.1", "subject": "user unknown", "user_agent": "hard 5.1.1"}, UNKNOWN),
        ({"bounce_type": ["hard"], "bounce_reason": None}, ADDRESS),
        ({"bounce_type": {"deep": {"type": "hard"}}}, ADDRESS),
    ],
)
def test_fields_may_have_any_name_and_nesting(record: dict[str, Any], kind: BounceKind) -> None:
    """Classes and reasons are found under every usual name and level; ids, subjects and addresses are not read."""
    assert classify_bounce(record) is kind


@pytest.mark.parametrize(
    ("status", "detail", "kind"),
    [
        ("5.1.1", "", ADDRESS),
        ("5.1.0", "", ADDRESS),
        ("5.1.10", "", ADDRESS),
        ("5.1.7", "", POLICY),
        ("5.2.2", "", FULL),
        ("4.2.2", "", FULL),
        ("5.7.0", "", POLICY),
        ("5.7.1", "", POLICY),
        ("5.7.26", "", AUTHENTICATION),
        ("5.7.1", "rejected per SPF", AUTHENTICATION),
        ("5.7.509", "access denied, sending domain does not pass DMARC", AUTHENTICATION),
        ("5.6.1", "", CONTENT),
        ("5.0.0", "", UNKNOWN),
        ("5.4.1", "", UNKNOWN),
        ("5.4.1", "recipient address rejected", ADDRESS),
        ("5.0.0", "550 user unknown", ADDRESS),
        ("4.1.1", "user unknown", UNKNOWN),
        ("4.4.7", "message expired", UNKNOWN),
        ("2.0.0", "", UNKNOWN),
        ("", "", UNKNOWN),
        ("nonsense", "", UNKNOWN),
    ],
)
def test_a_status_of_a_delivery_report_has_a_kind(status: str, detail: str, kind: BounceKind) -> None:
    """Each enhanced status gives its kind, with the server's text where the status leaves it open."""
    assert classify_status(status, detail) is kind


@pytest.mark.parametrize("kind", BounceKind)
def test_only_the_address_is_hard(kind: BounceKind) -> None:
    """The address kind alone is hard; policy and authentication alone concern the connection."""
    assert kind.is_hard is (kind is ADDRESS)
    assert kind.concerns_connection is (kind in {POLICY, AUTHENTICATION})


SPELLINGS = st.sampled_from([str.upper, str.title, str.lower, lambda text: f"  {text}\t", lambda text: text.swapcase()])
SEPARATORS = st.sampled_from([" ", "-", "_", ".", "/", " - "])


@given(SPELLINGS, SEPARATORS, st.sampled_from([("user unknown", ADDRESS), ("policy related", POLICY)]))
def test_case_and_separators_do_not_matter(spell: Any, separator: str, reason: tuple[str, BounceKind]) -> None:
    """A reason means the same in every case and with every separator."""
    text, kind = reason
    assert classify_bounce({"bounce_type": spell("hard"), "bounce_reason": spell(text.replace(" ", separator))}) is kind


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.dictionaries(st.sampled_from(["type", "reason", "bounce", "code", ""]), inner) | st.lists(inner)
        ),
        max_leaves=20,
    )
)
def test_every_json_value_has_a_kind(value: Any) -> None:
    """No record raises, whatever its fields contain, and one that says it is soft is never about the address."""
    assert classify_bounce({"bounce": value}) in BounceKind
    assert classify_bounce({"bounce_type": "soft", "bounce": value}) is not ADDRESS


def test_a_huge_record_is_read_up_to_its_limits() -> None:
    """The field at the limit is read and the one after it is not; a megabyte of text takes under a second."""
    fields: dict[str, Any] = {f"note_{number}": "x" for number in range(MAX_FIELDS - 2)}
    assert classify_bounce({**fields, "bounce_type": "hard"}) is ADDRESS
    assert classify_bounce({**fields, "note": "x", "bounce_type": "hard"}) is UNKNOWN
    began = time.perf_counter()
    assert classify_bounce({"bounce_reason": "a@" * 500_000, "bounce": ["user " * 10_000] * 1000}) is UNKNOWN
    assert time.perf_counter() - began < 1
