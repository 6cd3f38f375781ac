"""How a service takes memory from the system, and gives it back (mallopt(3), of glibc)."""

import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h
_LARGE_BYTES = 128 * 1024


def keep_the_heap_small() -> None:
    """Let all threads of this process share one arena of the heap, and keep what is large out of it.

    By default each thread has an arena of its own, and what a big work left free in one is of no use to the others:
    20 MB after a commit of 30,000 real servers. Python's threads take turns anyway. What is large is mapped by itself,
    and given back when it goes; but by default only what is larger than all that ever went is large. Without glibc
    nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
