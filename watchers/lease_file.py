"""The file that says which lease a router had: whoever is started next goes on with it.

    <lease> <token> …        the tokens are those of the locks for which the router acts

Never while a lock is given away or moved from under the lease: that request may be on its way when the next process
goes on with the lease, and would take the lock from under it. So the file is gone before anything is sent.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from watchers.last_good import write_atomically
from watchers.logs import tagged

log = logging.getLogger("clusterd.router")


class LeaseFile:
    """The file of one router. While `in_doubt` says so nobody is to go on with the lease."""

    def __init__(self, path: Path, in_doubt: Callable[[], bool]) -> None:
        self._path, self._in_doubt = path, in_doubt
        self._writing = asyncio.Lock()

    def read(self) -> tuple[int, frozenset[int]]:
        """Return the lease and the tokens. Raises OSError and ValueError."""
        lease_id, *tokens = map(int, self._path.read_text().split())
        return lease_id, frozenset(tokens)

    async def keep(self, lease_id: int, tokens: Sequence[int]) -> None:
        """Write it, unless that is in doubt by now. Who goes on with other tokens may have promised something."""
        async with self._writing:
            try:
                if not self._in_doubt():
                    text = " ".join(map(str, (lease_id, *tokens))) + "\n"
                    await asyncio.to_thread(write_atomically, self._path, [text], 0o600)
            except OSError as error:
                log.warning("%s: %s", self._path, error, extra=tagged("file", file=self._path))
            if self._in_doubt():
                self.drop()

    def drop(self) -> None:
        """Remove it at once; one that is being written at this moment removes itself when it is in doubt."""
        self._path.unlink(missing_ok=True)

    async def forget(self) -> None:
        """Remove it, also one that is being written at this moment."""
        async with self._writing:
            self.drop()
