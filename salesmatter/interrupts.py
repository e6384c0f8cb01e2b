"""Signal handlers that make SIGTERM and SIGHUP stop a command like Ctrl-C."""

import signal
from types import FrameType
from typing import NoReturn

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_on_stop_signals() -> None:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, so that context managers are closed."""
    for sign in STOP_SIGNALS:
        signal.signal(sign, _raise_interrupt)


def ignore_stop_signals() -> None:
    """Ignore further stop signals, so that a shutdown that has begun is completed."""
    for sign in STOP_SIGNALS:
        signal.signal(sign, signal.SIG_IGN)


def _raise_interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    ignore_stop_signals()
    raise KeyboardInterrupt
