"""The figures: what dbt has counted, as it counted it."""
