"""The clock: Dagster polls Everlytic, builds the marts through dbt, and checks that all sides count the same."""
