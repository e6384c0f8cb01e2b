"""Runs dbt in this process and exposes its models, tests and sources to Dagster."""
