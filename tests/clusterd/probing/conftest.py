"""Fixtures for checks that are run."""

from tests.watchers.conftest import folder

__all__ = ["folder"]
