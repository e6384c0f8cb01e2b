"""Dagster code location: polls Everlytic, builds the marts with dbt, and checks that all counts agree."""
