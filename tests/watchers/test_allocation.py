"""How a service takes memory from the system."""

import platform
import subprocess
import sys

import pytest

THREADS = """
import ctypes, threading
from watchers.allocation import share_one_arena
{first}
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


def arenas(first: str) -> int:
    """How many arenas four threads have that take memory at the same time (malloc_stats(3))."""
    code = THREADS.format(first=first)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stderr.count("\nArena ") + done.stderr.startswith("Arena ")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_all_threads_of_a_service_share_one_arena() -> None:
    assert arenas("") > 1
    assert arenas("share_one_arena()") == 1
