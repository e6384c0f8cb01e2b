"""Each unique index refuses a second row with the same key, and no other row."""

from dataclasses import dataclass
from typing import Any

import pytest
from psycopg.errors import UniqueViolation

from tests.two_workspaces import NOW, TwoWorkspaces


@dataclass(frozen=True, slots=True)
class Key:
    """A unique index with values of its columns; a row with one of `others` has another key."""

    index: str
    table: str
    values: dict[str, Any]
    others: tuple[dict[str, Any], ...]
    is_of_tenant: bool
    """Whether another tenant may use the same values."""


KEYS = (
    Key("uq_api_keys_secret_hash", "app.api_keys", {"secret_hash": "a"}, ({"secret_hash": "b"},), False),
    Key(
        "uq_email_events_provider_event_key",
        "app.email_events",
        {"provider_event_key": "a"},
        ({"provider_event_key": "b"},),
        True,
    ),
    Key("uq_idempotency_keys_user_id_key", "app.idempotency_keys", {"key": "a"}, ({"key": "b"},), True),
    Key(
        "uq_leads_workspace_id_email",
        "app.leads",
        {"email": "ann@acme.example"},
        ({"email": "bo@acme.example"}, {"deleted_at": NOW}, {"deleted_at": NOW}),
        True,
    ),
    Key(
        "uq_replies_workspace_id_identity_hash",
        "app.replies",
        {"identity_hash": "a"},
        ({"identity_hash": "b"},),
        True,
    ),
    Key(
        "uq_scheduled_jobs_dedupe_key",
        "app.scheduled_jobs",
        {"job_type": "sweep", "dedupe_key": "a"},
        ({"job_type": "send"}, {"dedupe_key": "b"}, {"dedupe_key": None}, {"dedupe_key": None}),
        True,
    ),
    Key(
        "uq_sequence_steps_sequence_id_step_order",
        "app.sequence_steps",
        {"step_order": 7},
        ({"step_order": 8},),
        True,
    ),
    Key(
        "uq_suppressions_account_id_value_hash_workspace_id",
        "app.suppressions",
        {"value_hash": "a"},
        ({"value_hash": "b"},),
        True,
    ),
    Key("uq_users_account_id_email", "app.users", {"email": "ann@acme.example"}, ({"email": "bo@acme.example"},), True),
    Key(
        "uq_users_subject_hash",
        "app.users",
        {"subject_hash": "a"},
        ({"subject_hash": "b"}, {"subject_hash": None}, {"subject_hash": None}),
        False,
    ),
)  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.index)
def test_a_key_is_unique(two_workspaces: TwoWorkspaces, key: Key) -> None:
    """A second row with the same key is refused; a row that differs in one column, or of another tenant, is not."""
    others = {name: f"{name} 2" for name in ("email",) if key.table == "app.users" and name not in key.values}
    two_workspaces.add(key.table, **key.values, **others)
    neighbour = two_workspaces.neighbour
    for of in (None,) if key.is_of_tenant else (None, neighbour):
        with pytest.raises(UniqueViolation, match=f'"{key.index}"'):
            two_workspaces.add(key.table, of, **key.values)
    for values in key.others:
        two_workspaces.add(key.table, **key.values | values)
    if key.is_of_tenant:
        two_workspaces.add(key.table, neighbour, **key.values)


def test_an_address_is_unique_in_any_case(two_workspaces: TwoWorkspaces) -> None:
    """Two users of an account cannot have the same address in upper and lower case."""
    two_workspaces.add("app.users", email="Ann@acme.example")
    with pytest.raises(UniqueViolation, match='"uq_users_account_id_email"'):
        two_workspaces.add("app.users", email="ann@ACME.example")


def test_a_lead_has_one_live_enrollment_in_a_sequence(two_workspaces: TwoWorkspaces) -> None:
    """A lead has at most one active, paused or replied enrollment in a sequence, and any number of ended ones."""
    lead_id = two_workspaces.add("app.leads")
    enrollment_id = two_workspaces.add("app.lead_enrollments", lead_id=lead_id, status="active")
    for own in ("active", "paused", "replied"):
        two_workspaces.set("app.lead_enrollments", enrollment_id, status=own)
        for status in ("active", "paused", "replied"):
            with pytest.raises(UniqueViolation, match='"uq_lead_enrollments_lead_id_sequence_id"'):
                two_workspaces.add("app.lead_enrollments", lead_id=lead_id, status=status)
    for status in ("completed", "completed", "unsubscribed", "unsubscribed"):
        two_workspaces.add("app.lead_enrollments", lead_id=lead_id, status=status)
    another = two_workspaces.add("app.sequences")
    two_workspaces.add("app.lead_enrollments", lead_id=lead_id, sequence_id=another, status="active")


def test_a_step_of_an_enrollment_has_one_draft_with_one_attempt(two_workspaces: TwoWorkspaces) -> None:
    """An enrollment has one draft per step, and a draft has one send attempt."""
    draft_id = two_workspaces.add_draft()
    row = two_workspaces.owner.execute(
        "SELECT lead_id, enrollment_id, step_id FROM app.email_drafts WHERE id = %s", [draft_id]
    ).fetchone()
    assert row is not None
    values = dict(zip(("lead_id", "enrollment_id", "step_id"), row, strict=True))
    with pytest.raises(UniqueViolation, match='"uq_email_drafts_enrollment_id_step_id"'):
        two_workspaces.add("app.email_drafts", **values)
    step_id = two_workspaces.add("app.sequence_steps", step_order=7)
    two_workspaces.add("app.email_drafts", **values | {"step_id": step_id})

    two_workspaces.add("app.send_attempts", draft_id=draft_id)
    with pytest.raises(UniqueViolation, match='"uq_send_attempts_draft_id"'):
        two_workspaces.add("app.send_attempts", draft_id=draft_id)


def test_a_workspace_has_one_mailbox_and_one_connection(two_workspaces: TwoWorkspaces) -> None:
    """A second mailbox or connection of a workspace is refused, and so is the webhook token of another connection."""
    for table, index in (
        ("app.mailboxes", "uq_mailboxes_workspace_id"),
        ("app.everlytic_connections", "uq_everlytic_connections_workspace_id"),
    ):
        with pytest.raises(UniqueViolation, match=f'"{index}"'):
            two_workspaces.add(table)
    set_token = "UPDATE app.everlytic_connections SET webhook_token_hash = 'a' WHERE workspace_id = %s"
    two_workspaces.owner.execute(set_token, [two_workspaces.id])
    with pytest.raises(UniqueViolation, match='"uq_everlytic_connections_webhook_token_hash"'):
        two_workspaces.owner.execute(set_token, [two_workspaces.neighbour["app.workspaces"]])
