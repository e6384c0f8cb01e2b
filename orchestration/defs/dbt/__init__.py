"""The dbt models as assets, and how dbt is run."""
