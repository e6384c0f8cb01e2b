"""What Dagster knows, one room per system."""
