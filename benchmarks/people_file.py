"""A file of people as a CRM exports it: the same bytes for the same number of rows, each with an address of its own."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import polars as pl

SEED = 4
ROWS_AT_ONCE = 50_000

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
    """Write a CSV file of so many rows, of about 210 bytes each."""
    with path.open("wb") as file:
        for first in range(1, rows + 1, ROWS_AT_ONCE):
            people = _people(first, min(first + ROWS_AT_ONCE, rows + 1))
            people.write_csv(file, include_header=first == 1)


def _people(first: int, end: int) -> pl.DataFrame:
    seeds = count(SEED + first)
    number = pl.int_range(first, end, dtype=pl.Int64, eager=True)

    def drawn(values: Sequence[str | None]) -> pl.Series:
        return pl.Series(values, dtype=pl.String).sample(len(number), with_replacement=True, seed=next(seeds))

    first_name, last_name, company = drawn(_FIRST_NAMES), drawn(_LAST_NAMES), drawn(_COMPANIES)
    first_part, last_part = first_name.str.to_lowercase(), last_name.str.to_lowercase()
    domain = _joined(company.str.to_lowercase(), ".example.com")
    return pl.select(
        first_name.alias("First Name"),
        last_name.alias("Last Name"),
        _joined(company, " ", drawn(_TRADES)).alias("Company"),
        drawn(_TITLES).alias("Job Title"),
        (number * 37 % 4_999 + 1).alias("Employees"),
        _joined(first_part, ".", last_part, number, "@", domain).alias("Email"),
        # Every third has none.
        pl.when(number % 3 != 0).then(_joined(first_part, number, "@example.net")).alias("Personal Email"),
        _joined("+27 21 ", (number % 10_000_000).cast(pl.String).str.zfill(7)).alias("Phone"),
        drawn(_CITIES).alias("City"),
        _joined("www.", domain).alias("Website"),
        drawn(_SOURCES).alias("Lead Source"),
        drawn(_STAGES).alias("Stage"),
        drawn(_NOTES).alias("Notes"),
    )


def _joined(*parts: str | pl.Series | pl.Expr) -> pl.Expr:
    return pl.concat_str([part if isinstance(part, pl.Expr) else pl.lit(part) for part in parts])
