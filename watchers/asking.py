"""One group's conversation between routers: who asked, what was answered, and what all others have promised. No I/O.

asked    0.0     0.2     0.4     0.6     what each peer has promised holds from its newest answered question on,
r2       yes     lost    yes             so the promise of all is as old as the oldest of these, here 0.2;
r3       yes     yes     lost            a lost datagram costs only its own part
"""

from dataclasses import dataclass, field
from typing import Any

from clusterd.election import AskPeers, Promised
from watchers.envelope import Question, Reply, Sign

_KEPT_QUESTIONS = 20
_KEPT_TOKENS = 4
_MOST_PATHS = 4
_NEVER = float("-inf")
Path = tuple[Any, ...]  # host, port, and for IPv6 flow and scope (ipv6(7))


@dataclass(slots=True)
class _Asker:
    """The newest question of a peer: the paths that it came by, and what we answered, once we have."""

    number: int
    question: str
    paths: list[Path]
    answer: Reply | None = None


@dataclass(slots=True)
class Asking:
    """What was said about one group."""

    _sent_s: dict[str, float] = field(default_factory=dict)  # when each question was sent, by its name
    _promised: dict[str, float] = field(default_factory=dict)  # when each peer's newest answered question was sent
    _asked: AskPeers = field(default_factory=lambda: AskPeers((), 0.0))
    _askers: dict[str, _Asker] = field(default_factory=dict)
    _signs: dict[str, dict[int, int]] = field(default_factory=dict)  # by sender: the highest number of each token

    def ask(self, action: AskPeers, name: str, now_s: float) -> None:
        """Remember a question of ours. What was promised for another one does not count for this one."""
        if action != self._asked:
            self._asked, self._sent_s, self._promised = action, {}, {}
        self._sent_s[name] = now_s
        for old in list(self._sent_s)[:-_KEPT_QUESTIONS]:
            del self._sent_s[old]

    def replied(self, reply: Reply) -> Promised | None:
        """Take an answer; return what all have promised where that is more than before."""
        if not reply.agreed or reply.name not in self._sent_s or reply.sender not in self._asked.peers:
            return None
        before = self._oldest()
        self._promised[reply.sender] = max(self._sent_s[reply.name], self._promised.get(reply.sender, _NEVER))
        return Promised(self._oldest(), self._asked.for_s) if self._oldest() > before else None

    def asked(self, question: Question, path: Path) -> tuple[bool, Reply | None]:
        """Take a question: whether it is a new one, and what to answer at once by the path of a copy."""
        asker = self._askers.get(question.sender)
        if asker is None or question.number > asker.number:
            self._askers[question.sender] = _Asker(question.number, question.name, [path])
            return True, None
        if question.name == asker.question and path not in asker.paths and len(asker.paths) < _MOST_PATHS:
            asker.paths.append(path)
            return False, asker.answer
        return False, None

    def answer(self, peer: str, reply: Reply) -> list[Path]:
        """Remember our answer; return the paths by which its question came."""
        asker = self._askers.get(peer)
        if asker is None or asker.question != reply.name:
            return []
        asker.answer = reply
        return asker.paths

    def lives(self, sign: Sign) -> bool:
        """Return whether a sign of life is a new one. A copy by another path, or a recorded one, is not."""
        known = self._signs.setdefault(sign.sender, {})
        if sign.number <= known.get(sign.token, -1):
            return False
        known[sign.token] = sign.number
        for old in sorted(known)[:-_KEPT_TOKENS]:
            del known[old]
        return True

    def _oldest(self) -> float:
        return min(self._promised.get(peer, _NEVER) for peer in self._asked.peers)
