"""Who may be written to: leads, lists, suppressions, timelines, erasure."""
