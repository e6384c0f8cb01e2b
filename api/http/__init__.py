"""What every request shares: authentication, errors, pagination, preconditions, idempotency."""
