"""The trials that fail today, by the id of their test, each with the cause."""

_PARTS = {
    "A no that another person passes on is not heard.": "30-assistant",
    "A link is read as it is, with what mail programs add.": "46-readable",
    "A no acts on the lead's address of now.": "48-bounce 48-complaint 48-link 48-reply",
}
"""Causes, each with the tests that fail because of it. The change that makes a test pass removes its id."""

NOT_YET = {part: cause for cause, parts in _PARTS.items() for part in parts.split()}
