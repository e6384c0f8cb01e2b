"""All that happened to a lead, in one order."""
