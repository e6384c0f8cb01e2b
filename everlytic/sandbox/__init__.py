"""A separate process that speaks Everlytic's wire, with people in it who open, click, bounce, reply and unsubscribe.

``python -m everlytic.sandbox --list-switches`` prints every assumption that can be turned and every fault that can be
asked for; both tables are data in ``scenarios.py``.
"""
