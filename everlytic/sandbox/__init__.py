"""A local Everlytic simulator that runs as a separate process.

It speaks Everlytic's HTTP APIs and simulates recipients who open, click, bounce, reply and unsubscribe.
``python -m everlytic.sandbox --list-switches`` prints every switchable assumption and every fault; both tables are data
in ``scenarios.py``.
"""
