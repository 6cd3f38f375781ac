"""How a service takes memory from the system (mallopt(3), of glibc)."""

import ctypes

_M_ARENA_MAX = -8  # malloc.h


def share_one_arena() -> None:
    """Let all threads of this process share one arena of the heap.

    By default each thread has one of its own, and what a big work left free in one is of no use to the others: 20 MB
    after a commit of 30,000 real servers. Python's threads take turns anyway. Without glibc nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
