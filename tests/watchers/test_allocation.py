"""How a service takes memory from the system."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")

BEGIN = """
import ctypes, threading
from watchers.allocation import keep_the_heap_small
{first}
"""
THREADS = """
begun = threading.Barrier(5)
def work():
    begun.wait()
    kept = [bytes(2000) for _ in range(1000)]
    begun.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
begun.wait()
begun.wait()
ctypes.CDLL(None).malloc_stats()
"""
LARGE = """
class Statistics(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Statistics
gone = bytes(4_000_000)
del gone
before = libc.mallinfo2().hblks
there = bytes(3_000_000)
print(libc.mallinfo2().hblks - before)
"""


def run(code: str, first: str) -> tuple[str, str]:
    """Run this in a process of its own, after `first`, and return its output and what it wrote to standard error."""
    command = [sys.executable, "-c", BEGIN.format(first=first) + code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, done.stderr


def arenas(first: str) -> int:
    """How many arenas four threads have that take memory at the same time (malloc_stats(3))."""
    return ("\n" + run(THREADS, first)[1]).count("\nArena ")


def test_all_threads_of_a_service_share_one_arena() -> None:
    assert arenas("") > 1
    assert arenas("keep_the_heap_small()") == 1


def test_what_is_large_is_mapped_by_itself_whatever_went_before() -> None:
    assert run(LARGE, "")[0] == "0\n"
    assert run(LARGE, "keep_the_heap_small()")[0] == "1\n"
