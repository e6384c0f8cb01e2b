"""The errors of starting things: each names what is wrong and what to do."""


class StartError(Exception):
    """Something cannot be started, or did not go on."""


class PortTaken(StartError):
    """Another program listens on a port that is wanted."""


class ProcessEnded(StartError):
    """A process that was to go on has ended."""


class NotReady(StartError):
    """A process did not become ready in time."""


class DemoFailed(StartError):
    """The main job could not be shown to its end."""
