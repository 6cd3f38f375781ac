"""Fixtures for sources that are programs."""

from tests.watchers.conftest import folder

__all__ = ["folder"]
