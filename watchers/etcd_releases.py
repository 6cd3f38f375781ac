"""Looks of which releases etcd's members are, and warns of those with faults that matter, in log and status.

It looks soon after the start, and every hour: etcd is upgraded member by member while routers go on. What a member told
last counts until it tells something else.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from clusterd import releases
from clusterd.errors import ClusterdError
from watchers.logs import tagged

if TYPE_CHECKING:
    from clusterd.doctor.facts import MemberFacts

log = logging.getLogger("clusterd.router")

FIRST_S = 2.0  # the start belongs to the lease
EVERY_S = 3600.0
AGAIN_S = 60.0  # after a look in which a member did not answer


class EtcdReleases:
    """Knows the members' releases. `login` says that etcd asks who we are, `tell` takes all warnings there are now."""

    def __init__(
        self,
        look: "Callable[[], Awaitable[Sequence[MemberFacts]]]",
        login: bool,
        tell: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._look, self._login, self._tell = look, login, tell
        self._known: dict[str, str] = {}  # by the member's name
        self._told: tuple[str, ...] = ()

    async def run(self) -> None:
        """Look, for ever."""
        pause_s = FIRST_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                members = await self._look()
            except ClusterdError as error:
                log.debug("etcd's releases are not known: %s", error, extra=tagged("etcd release"))
                members = ()
            self._take(members)
            pause_s = EVERY_S if members and all(member.version for member in members) else AGAIN_S

    def _take(self, members: "Sequence[MemberFacts]") -> None:
        if members:
            now = {member.name or member.endpoint: member.version for member in members}
            self._known = {name: version or self._known.get(name, "") for name, version in now.items()}
        warnings = releases.warnings(self._known, self._login)
        for warning in warnings:
            if warning not in self._told:
                log.warning("%s", warning, extra=tagged("etcd release"))
        self._told = warnings
        self._tell(warnings)
