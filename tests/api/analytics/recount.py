"""Computes the figures a second time, with Polars from raw rows, to compare them with dbt's definitions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import polars as pl
import psycopg

from domain.bounce import classify_bounce
from domain.verdict import Interaction, classify_interactions

Figures = dict[str, int]

TYPES = {"open": "opened", "click": "clicked", "bounce": "bounced", "failed": "bounced", "unsubscribe": "unsubscribed"}
CONSENT_ENDING = ".de"
"""The end of the addresses whose opens are not measured."""
SIGNS = ("delivered", "opened", "clicked", "unsubscribed")
"""What only a message that arrived can show."""

# Figure, when it happened, and the condition or the number that is added up.
HAPPENINGS = (
    ("sent", "sent_at", pl.lit(1)),
    ("delivered", "delivered_at", pl.col("is_delivered")),
    ("bounced", "bounced_at", pl.col("is_bounced")),
    ("hard_bounced", "bounced_at", pl.col("is_hard")),
    ("soft_bounced", "bounced_at", pl.col("is_soft")),
    ("opens_measured", "delivered_at", pl.col("has_measured_opens")),
    ("clicks_measured", "delivered_at", pl.col("has_measured_clicks")),
    (
        "clicked_with_opens_measured",
        "first_clicked_at",
        pl.col("has_measured_opens") & pl.col("first_clicked_at").is_not_null(),
    ),
    *(
        (
            f"{who}{figure}",
            f"first_{who}{figure}_at",
            pl.col("is_delivered") & pl.col(f"first_{who}{figure}_at").is_not_null(),
        )
        for who in ("", "human_", "machine_")
        for figure in ("opened", "clicked")
    ),
    *(
        (f"{who}{many}", f"first_{who}{figure}_at", pl.col("is_delivered") * pl.col(f"{who}{many}"))
        for who in ("", "human_", "machine_")
        for figure, many in (("opened", "opens"), ("clicked", "clicks"))
    ),
    ("replied", "replied_at", pl.col("is_delivered") & pl.col("replied_at").is_not_null()),
    ("unsubscribed", "unsubscribed_at", pl.col("is_delivered") & pl.col("unsubscribed_at").is_not_null()),
)
NAMES = [figure for figure, _, _ in HAPPENINGS]


@dataclass(frozen=True, slots=True)
class Recount:
    """Figures by their grain; days are in the workspace's timezone, on which something happened."""

    campaigns: dict[str, Figures]
    steps: dict[str, dict[str, Figures]]
    days: dict[date, Figures]
    campaign_days: dict[str, dict[date, Figures]]
    sent_days: dict[date, Figures]
    total: Figures


def recount(connection: psycopg.Connection, workspace: UUID, zone: str) -> Recount:
    """Count Everlytic's lists of a workspace's emails, and the replies and unsubscribes that only we received."""
    messages = _messages(connection, workspace)
    happened = _happened(messages, zone)
    return Recount(
        campaigns=_sums(happened, "campaign"),
        steps=_by_campaign(happened, "step"),
        days=_sums(happened, "day"),
        campaign_days=_by_campaign(happened, "day"),
        sent_days=_sums(happened, "sent_on"),
        total=_sums(happened.with_columns(all=pl.lit("all")), "all")["all"],
    )


def _messages(connection: psycopg.Connection, workspace: UUID) -> pl.DataFrame:
    """Return one row per message in Everlytic's list: when it was sent, and the time of each event."""
    listed = _rows(
        connection,
        "SELECT t.message_id, t.group_name, t.sent_at, d.step_id::text, l.email FROM everlytic.transactions AS t"
        " JOIN app.email_drafts AS d ON d.id::text = t.message_id JOIN app.leads AS l ON l.id = d.lead_id"
        " WHERE t.workspace_id = %s",
        workspace,
        ["message", "campaign", "sent_at", "step", "email"],
    )
    events, replies = _events(connection, workspace), _replies(connection, workspace)
    event_flags = events.group_by("message").agg(
        pl.col("at").filter(type="delivered").min().alias("reported_delivered_at"),
        pl.col("at").filter(pl.col("type").is_in(SIGNS)).max().alias("last_sign_at"),
        pl.col("at").filter(type="bounced", soft=False).min().alias("hard_at"),
        pl.col("at").filter(type="bounced", soft=True).min().alias("soft_at"),
        pl.col("at").filter(type="bounced", soft=True).max().alias("last_soft_at"),
        pl.col("at").filter(type="unsubscribed").min().alias("unsubscribed_at"),
        *_touched("opened", "opens"),
        *_touched("clicked", "clicks"),
    )
    joined = listed.join(event_flags, on="message", how="left").join(replies, on="message", how="left")
    return (
        joined.with_columns(
            delivered_at=pl.coalesce(
                "reported_delivered_at",
                pl.min_horizontal("first_opened_at", "first_clicked_at", "unsubscribed_at", "replied_at"),
            ),
            bounced_at=pl.coalesce("hard_at", "soft_at"),
            arrived_at=pl.max_horizontal("last_sign_at", "last_replied_at"),
            is_hard=pl.col("hard_at").is_not_null() & pl.col("replied_at").is_null(),
        )
        .with_columns(
            is_soft=~pl.col("is_hard")
            & pl.col("last_soft_at").is_not_null()
            & (pl.col("arrived_at").is_null() | (pl.col("last_soft_at") >= pl.col("arrived_at")))
        )
        .with_columns(is_bounced=pl.col("is_hard") | pl.col("is_soft"))
        .with_columns(is_delivered=pl.col("delivered_at").is_not_null() & ~pl.col("is_bounced"))
        .with_columns(
            has_measured_opens=pl.col("is_delivered")
            & (~pl.col("email").str.ends_with(CONSENT_ENDING) | pl.col("first_opened_at").is_not_null()),
            has_measured_clicks=pl.col("is_delivered"),
        )
    )


def _touched(act: str, many: str) -> Sequence[pl.Expr]:
    expressions = []
    for who in ("", "human_", "machine_"):
        chosen = pl.col("type") == act
        if who:
            chosen &= pl.col("verdict") == who.removesuffix("_")
        expressions += [
            pl.col("at").filter(chosen).min().alias(f"first_{who}{act}_at"),
            chosen.fill_null(value=False).sum().alias(f"{who}{many}"),
        ]
    return expressions


def _events(connection: psycopg.Connection, workspace: UUID) -> pl.DataFrame:
    """Return the events of Everlytic's list with verdicts, and the unsubscribes by link, which are not in that list."""
    polled = connection.execute(
        "SELECT message_id, type, occurred_at, raw FROM everlytic.callback_events WHERE workspace_id = %s", [workspace]
    ).fetchall()
    by_link = connection.execute(
        "SELECT draft_id::text, 'unsubscribe', occurred_at, '{}'::jsonb FROM app.email_events"
        " WHERE workspace_id = %s AND data ->> 'by' = 'link'",
        [workspace],
    ).fetchall()
    rows = [(message, TYPES.get(type_, type_), at, raw) for message, type_, at, raw in (*polled, *by_link)]
    verdicts = _verdicts(rows)
    return pl.DataFrame(
        [
            (message, type_, at, not classify_bounce(raw).is_hard, verdicts.get(number))
            for number, (message, type_, at, raw) in enumerate(rows)
        ],
        schema={
            "message": pl.String,
            "type": pl.String,
            "at": pl.Datetime("us", "UTC"),
            "soft": pl.Boolean,
            "verdict": pl.String,
        },
        orient="row",
    )


def _verdicts(rows: Sequence[tuple[str, str, datetime, dict[str, Any]]]) -> dict[int, str]:
    """Return human or machine for each open and click, by its position in the rows."""
    found: dict[int, str] = {}
    for message in {row[0] for row in rows}:
        mine = [(number, row) for number, row in enumerate(rows) if row[0] == message]
        delivered = min((row[2] for _, row in mine if row[1] == "delivered"), default=None)
        touches = [(number, row) for number, row in mine if row[1] in {"opened", "clicked"}]
        judged = classify_interactions([Interaction.parse(row[1], row[2], row[3]) for _, row in touches], delivered)  # type: ignore[arg-type]
        found |= {number: verdict.by for (number, _), verdict in zip(touches, judged, strict=True)}
    return found


def _replies(connection: psycopg.Connection, workspace: UUID) -> pl.DataFrame:
    rows = _rows(
        connection,
        "SELECT draft_id::text, received_at FROM app.replies WHERE workspace_id = %s AND is_automatic IS NOT TRUE",
        workspace,
        ["message", "at"],
    )
    return rows.group_by("message").agg(replied_at=pl.col("at").min(), last_replied_at=pl.col("at").max())


def _happened(messages: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Return one row per message and counted event: the local days of the send and the event, and its counts."""
    local = messages.with_columns(sent_on=pl.col("sent_at").dt.convert_time_zone(zone).dt.date())
    return pl.concat(
        local.select(
            "campaign",
            "step",
            "sent_on",
            figure=pl.lit(figure),
            day=pl.col(at).dt.convert_time_zone(zone).dt.date(),
            amount=amount.cast(pl.Int64),
        ).filter(pl.col("amount") > 0)
        for figure, at, amount in HAPPENINGS
    )


def _by_campaign(happened: pl.DataFrame, key: str) -> dict[str, dict[Any, Figures]]:
    return {str(campaign): _sums(rows, key) for (campaign,), rows in happened.group_by("campaign")}


def _sums(happened: pl.DataFrame, key: str) -> dict[Any, Figures]:
    found: dict[Any, Figures] = {}
    for one, figure, amount in happened.group_by(key, "figure").agg(pl.col("amount").sum()).iter_rows():
        found.setdefault(one, dict.fromkeys(NAMES, 0))[figure] = amount
    return found


def _rows(connection: psycopg.Connection, query: str, workspace: UUID, names: list[str]) -> pl.DataFrame:
    rows = connection.execute(query.encode(), [workspace]).fetchall()
    times = {name: pl.Datetime("us", "UTC") for name in names if name.endswith("at")}
    return pl.DataFrame(rows, schema={name: times.get(name, pl.String) for name in names}, orient="row")
