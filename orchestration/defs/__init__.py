"""Dagster definitions, one package per system: Everlytic, dbt and the operational database."""
