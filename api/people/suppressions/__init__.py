"""Who must never be mailed: suppressed addresses and domains, and the link by which a person says no."""
