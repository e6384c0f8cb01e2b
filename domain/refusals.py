"""The rule that pauses a sequence whose mails the provider refuses one after the other for one reason."""

import re
from collections.abc import Sequence

MAX_EQUAL_REFUSALS = 3
"""So many refusals in a row with the same reason pause a sequence."""
_VARIABLE = re.compile(r"(?<![^\s@])[^\s@]+@[\w.-]*>?|\d+")


def find_repeated_refusal(last_errors: Sequence[str | None]) -> str | None:
    """Return why a sequence must pause, or None; `last_errors` are of its last mails, newest first, None if accepted.

    Reasons that differ only in addresses or numbers are the same, because the provider may name the mail in them.
    """
    latest = last_errors[:MAX_EQUAL_REFUSALS]
    reasons = {None if error is None else _VARIABLE.sub("…", error) for error in latest}
    if len(latest) < MAX_EQUAL_REFUSALS or len(reasons) > 1 or None in reasons:
        return None
    (reason,) = reasons
    return f"Everlytic refused the last {MAX_EQUAL_REFUSALS} mails: {reason}"
