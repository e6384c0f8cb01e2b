"""The trials that fail today, by the id of their test, each with the cause."""

_PARTS = {
    "A no that another person passes on is not heard.": "30-assistant",
    "Names that look like markup make the draft fail.": "37-html 37-text",
    "A condition without a name writes `Hi ,`, and the preview does not warn.": "38-14",
    "Words and signs that mean nothing count as a name.": "39-request",
    "A link is read as it is, with what mail programs add.": "46-readable",
    "A no acts on the lead's address of now.": "48-bounce 48-complaint 48-link 48-reply",
}
"""Causes, each with the tests that fail because of it. The change that makes a test pass removes its id."""

NOT_YET = {part: cause for cause, parts in _PARTS.items() for part in parts.split()}
