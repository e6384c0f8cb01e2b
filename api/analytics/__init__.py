"""Analytics: the figures of the marts that dbt builds."""
