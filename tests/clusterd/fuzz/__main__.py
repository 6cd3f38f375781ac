"""Feeds changed sample files to everything that reads texts, for some seconds. What breaks it is saved.

python -m tests.clusterd.fuzz [SECONDS [SEED]]
"""

import itertools
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random, SystemRandom

from tests.clusterd.fuzz.mutation import mutated
from tests.clusterd.fuzz.targets import TARGETS, run, samples

SLOW_S = 10.0


def main(duration_s: float = 60.0, seed: int | None = None) -> int:
    """Fuzz; return 1 where something broke, else 0."""
    seed = SystemRandom().randrange(2**32) if seed is None else seed
    print(f"fuzz: seed {seed}, {duration_s:g} s", flush=True)
    texts = {target: samples(target) for target in TARGETS}
    counts: Counter[tuple[str, bool]] = Counter()
    end = time.monotonic() + duration_s
    for number in itertools.count():
        if time.monotonic() >= end:
            break
        for target in TARGETS:
            text = mutated(Random(f"{seed}/{number}/{target}"), texts[target])  # noqa: S311 # no secret
            start = time.monotonic()
            try:
                counts[target, run(target, text)] += 1
            except BaseException as error:  # noqa: BLE001 # whatever it is, it is what is looked for
                return _broken(target, text, f"seed {seed}, run {number}", error)
            if time.monotonic() - start > SLOW_S:
                return _broken(target, text, f"seed {seed}, run {number}", TimeoutError(f"took over {SLOW_S:g} s"))
    for target in TARGETS:
        read, refused = counts[target, True], counts[target, False]
        print(f"fuzz: {target}: {read + refused} texts, {read} read, {refused} refused")
    return 0


def _broken(target: str, text: bytes, which: str, error: BaseException) -> int:
    file = Path(f"fuzz-{target}-{abs(hash(text)) % 10**8:08}.txt")
    file.write_bytes(text)
    traceback.print_exception(error)
    print(f"fuzz: {target} broke ({which}); the text is in {file}", file=sys.stderr)
    if isinstance(error, KeyboardInterrupt):
        file.unlink()
    return 1


if __name__ == "__main__":
    duration, seed = [*sys.argv[1:], "60", ""][:2] if len(sys.argv) != 2 else [sys.argv[1], ""]
    sys.exit(main(float(duration), int(seed) if seed else None))
