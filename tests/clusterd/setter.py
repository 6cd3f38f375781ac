"""A process that runs one ``clusterd set`` after the other, for tests with many of them: `setter.py URLS CLUSTER N...`.

Each N sets the port of virtuals/vN to 1000 + N. A line of JSON tells how each one ended.
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.clusterd.command_line import CommandLine, Ended


def assignment(number: int) -> str:
    """Return what the process of this number sets."""
    return f"virtuals/v{number}/port={1000 + number}"


def told(number: int, ended: Ended) -> dict[str, object]:
    """Return how a command ended, as JSON."""
    commit = json.loads(ended.out)["id"] if ended.code == 0 else ""
    return {"number": number, "code": ended.code, "id": commit, "err": ended.err}


def main(endpoints: str, cluster: str, *numbers: str) -> None:
    """Set all the numbers."""
    with tempfile.TemporaryDirectory() as folder:
        clusterd = CommandLine(endpoints, cluster, Path(folder))
        for number in map(int, numbers):
            ended = clusterd("set", assignment(number), "--yes", "--json")
            print(json.dumps(told(number, ended)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
