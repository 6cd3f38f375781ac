"""Who is logged in: sessions in memory, found by a token that only the browser has. Pure; tokens come from outside.

Only the SHA-256 of a token is kept. A session ends when nobody used it for a while, in any case after a longer one, and
when the user's role or password changed or the user is gone.
"""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace

MOST, MOST_EACH = 1000, 20  # sessions at all, and of one user: the one that was used least lately goes


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is logged in. `proved` is the hash of the password with which it was, "" through a proxy."""

    user: str
    proved: str
    began_s: float
    used_s: float
    proxied: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """How long sessions live: without being used, and at most."""

    idle_s: float
    most_s: float


class Sessions:
    """All sessions of this console."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._known: dict[str, Session] = {}  # by digest, the one that was used least lately first

    def begin(self, token: str, session: Session) -> None:
        """Begin a session under a new token, which was never used before."""
        self._drop_old(session.used_s)
        same = [digest for digest, one in self._known.items() if one.user == session.user]
        for digest in (*same[: max(0, len(same) + 1 - MOST_EACH)], *list(self._known)[: max(0, len(self) + 1 - MOST)]):
            self._known.pop(digest, None)
        self._known[digested(token)] = session

    def used(self, token: str, now_s: float) -> Session | None:
        """Return the session of a token that a person uses just now, None where there is none any more."""
        session = self.seen(token, now_s)
        if session:
            del self._known[digested(token)]
            self._known[digested(token)] = session = replace(session, used_s=now_s)
        return session

    def seen(self, token: str, now_s: float) -> Session | None:
        """Return the session of a token; that a page updates itself does not count as using it."""
        session = self._known.get(digested(token))
        if session and self._over(session, now_s):
            self.end(token)
            return None
        return session

    def end(self, token: str) -> None:
        """End the session of a token, if there is one."""
        self._known.pop(digested(token), None)

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._known.values())

    def _over(self, session: Session, now_s: float) -> bool:
        return now_s >= session.used_s + self._terms.idle_s or now_s >= session.began_s + self._terms.most_s

    def _drop_old(self, now_s: float) -> None:
        for digest in [digest for digest, one in self._known.items() if self._over(one, now_s)]:
            del self._known[digest]


def digested(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def form_token(secret: bytes, token: str) -> str:
    """Return what a form carries, so that only pages of ours can send it: it fits one browser's cookie."""
    return hmac.new(secret, token.encode(errors="replace"), hashlib.sha256).hexdigest()


def form_fits(secret: bytes, token: str, sent: str) -> bool:
    """Tell whether a form was made for the browser that has this cookie."""
    return bool(token) and hmac.compare_digest(form_token(secret, token).encode(), sent.encode(errors="replace"))
