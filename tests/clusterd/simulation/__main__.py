"""Play many seeds of the simulation on all cores: `script/simulate SEEDS [FIRST]`."""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.clusterd.simulation import scenario
from tests.clusterd.simulation.world import Violation

AT_ONCE = 50


def play(seeds: range) -> tuple[str, ...]:
    """Play some seeds; return what was violated."""
    found = []
    for seed in seeds:
        try:
            scenario.run(seed)
        except Violation as violation:
            found.append(str(violation))
    return tuple(found)


def main() -> int:
    """Play what the command line says; return how the process ends."""
    parser = argparse.ArgumentParser(prog="script/simulate", description=__doc__)
    parser.add_argument("seeds", type=int, help="how many")
    parser.add_argument("first", type=int, nargs="?", default=0, help="the first of them")
    given = parser.parse_args()
    end = given.first + given.seeds
    parts = [range(start, min(start + AT_ONCE, end)) for start in range(given.first, end, AT_ONCE)]
    began_s, played, bad = time.monotonic(), 0, 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for part, found in zip(parts, pool.map(play, parts), strict=True):
            played, bad = played + len(part), bad + len(found)
            for violation in found:
                print(violation, flush=True)
            if played % 1000 < AT_ONCE:
                print(f"{played} of {given.seeds} seeds, {bad} violations", file=sys.stderr, flush=True)
    print(f"seeds {given.first} to {end - 1}: {bad} violations, {time.monotonic() - began_s:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
