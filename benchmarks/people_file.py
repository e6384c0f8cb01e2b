"""Writes a CSV file of people like a CRM export: deterministic, and each row has a unique address."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import polars as pl

SEED = 4
BATCH_ROWS = 50_000

_FIRST_NAMES = ["Thandi", "Johan", "Lerato", "Pieter", "Ayesha", "Sipho", "Emma", "Liam", "Naledi", "Ruan", "Zanele"]
_LAST_NAMES = ["Nkosi", "Botha", "Dlamini", "Smith", "Naidoo", "Mokoena", "Pillay", "Jacobs", "Khumalo", "Williams"]
_COMPANIES = ["Thornton", "Karoo", "Umhlanga", "Protea", "Baobab", "Savanna", "Highveld", "Marula", "Tugela", "Acacia"]
_TRADES = ["Logistics", "Industries (Pty) Ltd", "Foods", "Holdings", "Software", "Insurance Brokers", "Energy"]
_TITLES = ["CEO", "Sales Director", "Head of Procurement", "Operations Manager", "Founder", "Team Lead, EMEA"]
_CITIES = ["Cape Town", "Johannesburg", "Durban", "Zürich", "São Paulo", "Utrecht", "Nairobi"]
_SOURCES = ["Webinar", "Referral", "LinkedIn", "Trade fair", "Cold call"]
_STAGES = ["New", "Qualified", "Proposal", "On hold", "Closed lost"]
_NOTES = [
    None,
    None,
    "Met at the fair in Durban, wants prices for 40 seats.",
    "Prefers mail, not calls; back from leave in May.",
    'Said "call me after the budget", then changed jobs.',
    "Knows Zoë of the Utrecht office, uses a competitor.",
    "Sent the case study, the deck, and the contract.",
]


def write_people(path: Path, rows: int) -> None:
    """Write a CSV file of `rows` rows of about 210 bytes."""
    with path.open("wb") as file:
        for first in range(1, rows + 1, BATCH_ROWS):
            people = _people(first, min(first + BATCH_ROWS, rows + 1))
            people.write_csv(file, include_header=first == 1)


def _people(first: int, end: int) -> pl.DataFrame:
    seeds = count(SEED + first)
    number = pl.int_range(first, end, dtype=pl.Int64, eager=True)

    def sample(values: Sequence[str | None]) -> pl.Series:
        return pl.Series(values, dtype=pl.String).sample(len(number), with_replacement=True, seed=next(seeds))

    first_name, last_name, company = sample(_FIRST_NAMES), sample(_LAST_NAMES), sample(_COMPANIES)
    first_part, last_part = first_name.str.to_lowercase(), last_name.str.to_lowercase()
    domain = _concatenate(company.str.to_lowercase(), ".example.com")
    return pl.select(
        first_name.alias("First Name"),
        last_name.alias("Last Name"),
        _concatenate(company, " ", sample(_TRADES)).alias("Company"),
        sample(_TITLES).alias("Job Title"),
        (number * 37 % 4_999 + 1).alias("Employees"),
        _concatenate(first_part, ".", last_part, number, "@", domain).alias("Email"),
        # Every third row has none.
        pl.when(number % 3 != 0).then(_concatenate(first_part, number, "@example.net")).alias("Personal Email"),
        _concatenate("+27 21 ", (number % 10_000_000).cast(pl.String).str.zfill(7)).alias("Phone"),
        sample(_CITIES).alias("City"),
        _concatenate("www.", domain).alias("Website"),
        sample(_SOURCES).alias("Lead Source"),
        sample(_STAGES).alias("Stage"),
        sample(_NOTES).alias("Notes"),
    )


def _concatenate(*parts: str | pl.Series | pl.Expr) -> pl.Expr:
    return pl.concat_str([part if isinstance(part, pl.Expr) else pl.lit(part) for part in parts])
