"""The keys of advisory locks, and the order in which transactions lock.

A transaction takes what it needs in this order, so that no two wait for each other:

1. `SEQUENCE_ENTRY`: shared by enrolling leads, exclusive by deleting the sequence.
2. `LEAD_LIST`: shared by putting leads into a list, exclusive by deleting the list. Several are taken in id order.
3. Rows of leads, enrollments, sequences and drafts, in this order. Within a table rows are locked in id order.
4. Rows of lead lists, in id order, to change their counts.
5. `SUPPRESSIONS` of the account: shared by claiming mails to send, which then waits for nothing but other claims;
   exclusive by every transaction that writes suppressions or stores a reply, which the triggers `lock_suppressions` and
   `lock_claims` take at its commit.

Three more keys are taken before any of these: the provider's intake, shared by storing what the provider posts and
exclusive for a moment before stored events are applied; `PROVIDER_EVENTS`, exclusive by applying them; and `AI_BUDGET`,
exclusive by reserving tokens.

Every key is an SQL expression with parameters of the statement that takes the lock, and of its transaction.
"""


def _key(name: str, *values: str) -> str:
    text = " || ".join([f"'{name}:'", *values])
    return f"hashtextextended({text}, 0)"


SEQUENCE_ENTRY = _key("sequence_entry", ":sequence_id")
SUPPRESSIONS = _key("suppressions", ":account_id")
PROVIDER_EVENTS = _key("provider_events", ":workspace_id")
AI_BUDGET = _key("ai_budget", ":workspace_id")


def provider_intake_key(workspace_id: str) -> str:
    """Return the key for a placeholder: the statement that stores deliveries is psycopg's, the other SQLAlchemy's."""
    return _key("provider_intake", workspace_id)


def lead_list_key(list_id: str) -> str:
    """Return the key of a list of the workspace; `list_id` is a column or a placeholder."""
    return _key("lead_list", ":workspace_id", list_id)
