"""The business rules of outreach: pure functions and tables that use only the standard library."""
