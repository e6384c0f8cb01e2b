from tests.api.people import base

__all__ = ["base"]
