"""Somebody who edits all the time: `python -m tests.lab.chaos.editor SEED SECONDS BEGAN_S ENDPOINTS FOLDER`.

It makes the edits of the schedule of this seed at their times, BEGAN_S of time.monotonic() being second 0, by the real
command, in one process. One line of JSON says that an edit begins, and one how it ended. An edit whose time is long
over is left out, since etcd was away.
"""

import json
import sys
import time
from pathlib import Path

from tests.clusterd.command_line import CommandLine, Ended
from tests.lab.chaos.schedule import Edit, schedule

LATE_S = 3.0


def told(edit: Edit, ended: Ended) -> dict[str, object]:
    """Return how an edit ended. Only one that changed something is a commit of its own."""
    done = json.loads(ended.out) if ended.code == 0 else {}
    made = {"commit": done["commit"], "id": done["id"]} if done.get("changes") else {}
    return {"setting": edit.setting, "code": ended.code, "error": ended.err, **made}


def main() -> None:
    """Make all edits, and end."""
    seed, seconds, began_s, endpoints, folder = sys.argv[1:]
    clusterd = CommandLine(endpoints, "main", Path(folder))
    for edit in schedule(int(seed), float(seconds)).edits:
        late_s = time.monotonic() - float(began_s) - edit.at_s
        if late_s > LATE_S:
            continue
        time.sleep(max(0.0, -late_s))
        print(json.dumps({"begins_s": time.monotonic(), "setting": edit.setting, "cuts": edit.cuts}), flush=True)
        ended = clusterd("set", edit.setting, "--yes", "--json", "-m", f"edit of second {edit.at_s}")
        print(json.dumps({"ended_s": time.monotonic(), **told(edit, ended)}), flush=True)
    print(json.dumps({"over": True}), flush=True)


if __name__ == "__main__":
    main()
