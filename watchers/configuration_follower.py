"""Which configuration this router follows, and the two files that it keeps of it."""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clusterd.configuration import Committed
from clusterd.configuration.objects import Objects
from clusterd.errors import ClusterdError, ConfigError
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.reports import Followed
from clusterd.store.contract import Store
from clusterd.weights import Drains, drained
from watchers import last_good
from watchers.acceptance import refusal
from watchers.last_good import LastGood
from watchers.logs import tagged
from watchers.problems import Problems

if TYPE_CHECKING:
    from renderers.lvscf import Sections

log = logging.getLogger("clusterd.router")


@dataclass(slots=True)
class ConfigurationFollower:
    """Takes what the store shows, and keeps what was followed in a file for a start without etcd."""

    store: Store
    keys: Keys
    problems: Problems
    file: Path
    lvs_cf: Path

    good: LastGood | None = None
    follows: Followed = field(default_factory=Followed)  # that, as others are told
    seen_number: int = 0
    seen: Committed | ConfigError | None = None
    given_up: frozenset[str] = frozenset()  # hashes of commits that routers are to follow no longer
    _saved: LastGood | None = None
    _objects: Objects | None = None  # what the good one was made of, where etcd has shown it
    _sections: "Sections | None" = None
    _saving: asyncio.Lock = field(default_factory=asyncio.Lock)

    def start(self) -> LastGood | None:
        """Return the last good configuration from the file, if there is one."""
        self.good = self._saved = last_good.load(self.file)
        if self.good:
            self.follows = _told(self.good)
            self.seen_number = self.good.number
            about = tagged("last good", commit=self.good.number)
            log.info("starting from the last good configuration, commit %d", self.good.number, extra=about)
        return self.good

    async def consider(self, seen: Committed | ConfigError | None) -> LastGood | None:
        """Return the configuration to follow from now on, or None when what the store shows changes nothing."""
        why_not, self.seen = refusal(self.good, seen, self.given_up), seen
        told = [why_not] if why_not else []
        if isinstance(seen, Committed):
            self.seen_number = seen.number
            told += [f"{name} in etcd is not what was committed: the commit is followed" for name in seen.strays]
        self.problems.about("configuration", *told)
        if why_not or not isinstance(seen, Committed):
            return None
        anew = bool(self.good and self.good.hash != seen.head.hash and self.good.number >= seen.number)
        secret = await self._secret(anew)
        if self.good and (seen.head.hash, secret) == (self.good.hash, self.good.secret):
            return None
        about = tagged("commit", commit=seen.number, author=str(seen.head.author))
        log.info("commit %d by %s: %s", seen.number, seen.head.author, seen.head.message or "no message", extra=about)
        drains = drained(*self._drained(seen.number), seen.cluster, time.time())
        self.good = LastGood(seen.number, seen.head.hash, seen.cluster, secret, drains)
        self._objects = Objects.of(seen.objects)
        self.follows = _told(self.good)
        return self.good

    def _drained(self, number: int) -> tuple[Drains, Cluster]:
        """Return since when servers were drained, and of which cluster; nothing where commits were not seen.

        Between those it may have begun anew.
        """
        good = self.good
        return (good.drains, good.cluster) if good and number <= good.number + 1 else ({}, Cluster())

    async def _secret(self, anew: bool) -> bytes:
        """Return the key by which routers know each other; it is read once, and `anew` from a restored etcd."""
        known = self.good.secret if self.good else b""
        if anew or not known:
            try:
                entry = await self.store.get(self.keys.peer_key)
                known = entry.value if entry else known
                absent = f"{self.keys.peer_key} is missing: the routers cannot ask each other while etcd is away"
                self.problems.about("peer key", *([] if known else [absent]))
            except ClusterdError as error:
                log.warning("reading the routers' common key: %s", error, extra=tagged("trouble", about="peers"))
        return known

    async def save(self) -> None:
        """Write the files of what is followed, unless they are written already. Trouble with them stops nothing."""
        async with self._saving:
            good, objects = self.good, self._objects
            if good is not None and self._saved != good:
                self._saved = good
                await self._save(good, objects)

    async def _save(self, good: LastGood, objects: Objects | None) -> None:
        problems = []
        try:
            await asyncio.to_thread(last_good.save, self.file, good, objects)
        except OSError as error:
            problems.append(f"{self.file}: {error.strerror}; a restart while etcd is away would know nothing")
        try:
            self._sections = await asyncio.to_thread(_write_lvs_cf, self.lvs_cf, good, self._sections)
        except OSError as error:
            problems.append(f"{self.lvs_cf}: {error.strerror}")
        self.problems.about("files", *problems)


def _told(good: LastGood) -> Followed:
    return Followed(number=good.number, hash=good.hash)


def _write_lvs_cf(file: Path, good: LastGood, known: "Sections | None") -> "Sections":
    """Render and write it: in another thread, since a big one takes a second. Return its sections for the next time."""
    from renderers import lvscf  # here, since it takes a sixth of the program's start, and a restart writes nothing

    sections = known or lvscf.Sections()
    last_good.write_atomically(file, lvscf.parts(good.cluster, good.number, sections))
    return sections
