"""One email to one lead, from a step's template."""
