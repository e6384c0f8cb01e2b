"""Ending in good order, whoever asks for it."""

import signal
from types import FrameType
from typing import NoReturn

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_as_if_interrupted() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does: everything that was opened is closed."""
    for sign in ENDINGS:
        signal.signal(sign, _interrupt)


def end_undisturbed() -> None:
    """Ignore further requests to end: what has begun to end must not leave half of itself behind."""
    for sign in ENDINGS:
        signal.signal(sign, signal.SIG_IGN)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    end_undisturbed()
    raise KeyboardInterrupt
