"""The examiner: looks at this router's host once, in a process of its own, so that no lease ever waits for it.

`python -m watchers.examiner` reads one line of JSON (who asks, what is followed) and writes one line of facts.
"""

import asyncio
import json
import os
import sys

from clusterd import document, settings
from clusterd.doctor import HostFacts
from clusterd.examination import Here, look

LIMIT_BYTES = 1_000_000  # etcd takes 1.5 MiB in one request


async def examined(line: bytes) -> HostFacts:
    """Return what is seen of this host. Raises ConfigError, and ValueError where the line is not ours."""
    read, asked = settings.read(), json.loads(line)
    cluster = document.from_objects(asked["objects"])
    return await look(Here(asked["me"], cluster, asked["groups"], read.endpoints, settings.credentials(read)))


def told(facts: HostFacts) -> str:
    """Return the facts as one line that etcd takes as a value."""
    text = facts.model_dump_json(exclude_defaults=True)
    if len(text) <= LIMIT_BYTES:
        return text
    why = f"of {len(facts.servers)} real servers there is too much to tell through etcd: run clusterd doctor there"
    return facts.model_copy(update={"servers": {}, "unseen": (*facts.unseen, why)}).model_dump_json()


def main() -> None:
    """Answer one question."""
    facts = asyncio.run(examined(sys.stdin.buffer.readline()))
    sys.stdout.write(told(facts) + "\n")
    sys.stdout.flush()
    os._exit(0)  # a thread may hang in a host that does not answer


if __name__ == "__main__":
    main()
