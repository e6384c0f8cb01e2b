"""Fixtures: the workspace of the trials."""

from tests.trials.conftest import *  # noqa: F403 - every fixture
from tests.trials.conftest import app_client

__all__ = ["app_client"]
