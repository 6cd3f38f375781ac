"""Answers `clusterd doctor`: when somebody asks, this router's host is looked at, and what is seen becomes a key.

Question and answer live under the asker's short lease, so nothing stays. One look at a time; trouble of the store
delays this and nothing else.
"""

import asyncio
import json
import logging
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from clusterd.errors import ClusterdError
from clusterd.keys import Keys
from clusterd.store.contract import Batch, Entry, Put, Snapshot, Store
from watchers.feeds import follow
from watchers.logs import tagged

log = logging.getLogger("clusterd.router")

LIMIT_S = 20.0
Examiner = Callable[[bytes], Awaitable[bytes]]


async def in_a_process(question: bytes) -> bytes:
    """Return the examiner's answer, b"" where it has none in time."""
    command = (sys.executable, "-m", "watchers.examiner")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, start_new_session=True)
    try:
        async with asyncio.timeout(LIMIT_S):
            answer, _ = await process.communicate(question + b"\n")
            return answer.strip()
    except TimeoutError:
        return b""
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Examining:
    """Follows the questions, and answers each once. `asked` makes the line that the examiner reads, None: not yet."""

    def __init__(
        self, store: Store, keys: Keys, me: str, asked: Callable[[], bytes | None], examine: Examiner = in_a_process
    ) -> None:
        self._store, self._keys, self._me = store, keys, me
        self._asked, self._examine = asked, examine
        self._answered: set[str] = set()
        self._questions: asyncio.Queue[Entry] = asyncio.Queue()

    async def follow(self) -> None:
        """Hear of questions, for ever."""
        await follow(self._store, self._keys.doctor_prefix, self._listed, self._changed)

    async def run(self) -> None:
        """Answer them, for ever."""
        while True:
            await self._answer(await self._questions.get())

    async def _listed(self, snapshot: Snapshot) -> None:
        self._answered &= {entry.key for entry in snapshot.entries}
        for entry in snapshot.entries:
            self._hear(entry)

    async def _changed(self, batch: Batch) -> None:
        for change in batch.changes:
            if isinstance(change, Entry):
                self._hear(change)

    def _hear(self, entry: Entry) -> None:
        question = "/" not in entry.key.removeprefix(self._keys.doctor_prefix)
        if question and entry.lease_id and entry.key not in self._answered:
            self._answered.add(entry.key)
            self._questions.put_nowait(entry)

    async def _answer(self, entry: Entry) -> None:
        asked = await asyncio.to_thread(self._asked)
        if asked is None:
            return
        try:
            answer = await self._examine(asked)
            if not answer:
                log.warning(
                    "clusterd doctor asked, and the examiner had no answer", extra=tagged("trouble", about="doctor")
                )
                return
            key = self._keys.doctor_answer(entry.key.removeprefix(self._keys.doctor_prefix), self._me)
            await self._store.transact([], [Put(key, answer, entry.lease_id)])
        except (ClusterdError, OSError) as error:
            about = tagged("trouble", about="doctor")
            log.warning("what was asked for clusterd doctor could not be told: %s", error, extra=about)


def question(me: str, groups: Sequence[str], objects: Mapping[str, Any]) -> bytes:
    """Return the line that the examiner reads."""
    return json.dumps({"me": me, "groups": list(groups), "objects": objects}).encode()
