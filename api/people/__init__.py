"""People: leads, lists, suppressions, timelines, erasure."""
