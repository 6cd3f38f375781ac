"""Whether this router reaches what it has to: the links of the floating addresses, and a neighbour that answers.

A router that does not is isolated: it claims last, and makes way for one that is ready (`watchers.isolation`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from clusterd.model import Reachability as Settings
from clusterd.plane import HostAddress


@dataclass(slots=True)
class Reachability:
    """`without_carrier` tells which of some interfaces have none now, `ask` asks neighbours whether they are there."""

    without_carrier: Callable[[Iterable[str]], frozenset[str]]
    ask: Callable[[tuple[HostAddress, ...]], None]
    _settings: Settings = field(default_factory=Settings)
    _interfaces: tuple[str, ...] = ()
    _down: frozenset[str] = frozenset()
    _asked_s: float = float("-inf")
    _heard_s: dict[HostAddress, float] = field(default_factory=dict)

    def configure(self, settings: Settings, interfaces: Iterable[str], now_s: float) -> None:
        """Watch these from now on. A host that is new counts as there until it had its time to answer."""
        self._settings, self._interfaces = settings, tuple(dict.fromkeys(interfaces))
        self._heard_s = {host: self._heard_s.get(host, now_s) for host in settings.hosts}
        self.look()

    def look(self) -> None:
        """See which links are up."""
        self._down = self.without_carrier(self._interfaces)

    def tick(self, now_s: float) -> None:
        """Ask when it is time to."""
        if self._settings.hosts and now_s >= self._asked_s + self._settings.interval_s:
            self._asked_s = now_s
            self.ask(self._settings.hosts)

    def answered(self, host: HostAddress, now_s: float) -> None:
        """Take note that a host is there."""
        if host in self._heard_s:
            self._heard_s[host] = now_s

    def missing(self, now_s: float) -> tuple[str, ...]:
        """Return what is not reached; nothing while this router is not isolated."""
        links = [f"{interface} has no carrier" for interface in self._interfaces if interface in self._down]
        silent = [host for host, at_s in self._heard_s.items() if now_s - at_s >= self._settings.timeout_s]
        hosts = [f"{host} does not answer" for host in silent] if len(silent) == len(self._heard_s) else []
        return (*links, *hosts)
