"""Messages that came back, written without knowledge of the rules, and what must come of each."""
