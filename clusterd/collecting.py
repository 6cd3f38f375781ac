"""How often Python looks for cycles of objects that nobody uses any more."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Look for cycles seldom: a big document is many small objects that stay, and looking doubles the time."""
    usual = gc.get_threshold()
    gc.set_threshold(500_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
