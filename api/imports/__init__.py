"""Files on their way to becoming leads: read, mapped, looked at, committed."""
