"""The datagrams that routers exchange: JSON with a keyed hash (HMAC-SHA256, RFC 2104), pure.

An answer repeats the random name of its question, so an old answer is worth nothing. A question carries a number that
only grows, so an old question is not heard again.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_HASH_BYTES = hashlib.sha256().digest_size
LARGEST_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Question:
    """`sender` asks not to claim for `for_s` seconds; `number` grows with every question of the sender."""

    sender: str
    name: str
    number: int
    for_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """`sender` promises, or does not, what the question of this name asked."""

    sender: str
    name: str
    agreed: bool


def seal(message: Question | Reply, secret: bytes) -> bytes:
    """Return the datagram of a message."""
    kind = "question" if isinstance(message, Question) else "reply"
    fields = {name: getattr(message, name) for name in message.__slots__}
    body = json.dumps({"kind": kind, **fields}).encode()
    return hmac.digest(secret, body, "sha256") + body


def unseal(datagram: bytes, secret: bytes) -> Question | Reply | None:
    """Return the message of a datagram, or None where its hash or its form is not right."""
    seal_, body = datagram[:_HASH_BYTES], datagram[_HASH_BYTES:]
    if not secret or not hmac.compare_digest(hmac.digest(secret, body, "sha256"), seal_):
        return None
    try:
        return _message(json.loads(body))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _message(fields: Mapping[str, Any]) -> Question | Reply:
    if fields["kind"] == "question":
        return Question(str(fields["sender"]), str(fields["name"]), int(fields["number"]), float(fields["for_s"]))
    return Reply(str(fields["sender"]), str(fields["name"]), fields["agreed"] is True)
