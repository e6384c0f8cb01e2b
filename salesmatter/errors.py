"""Errors of the command line; each message says what is wrong and what to do."""


class StartError(Exception):
    """A command cannot start, or a part of it has stopped."""


class PortTaken(StartError):
    """Another program listens on the port."""


class ProcessEnded(StartError):
    """A process that should keep running has ended."""


class NotReady(StartError):
    """A process did not become ready in time."""


class DemoFailed(StartError):
    """The demo could not be completed."""
