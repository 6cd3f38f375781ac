"""How often Python looks for cycles of objects that nobody uses any more."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_USUAL = gc.get_threshold()


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Look for cycles seldom: a big document is many small objects that stay, and looking doubles the time."""
    gc.set_threshold(500_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*_USUAL)  # where two threads do so, the first to end makes the other a bit slower
