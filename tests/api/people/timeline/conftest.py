from tests.api.lead_requests import base

__all__ = ["base"]
