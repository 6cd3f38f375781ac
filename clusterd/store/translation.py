"""What a gRPC error says about the request that it answers, and how it is told to the caller.

The one distinction that matters for a write: does the error prove that etcd never took the request up? gRPC says so
when it could not connect; etcd says so when it knows no leader (with metadata `hasleader` it checks that before
anything else) or has too many requests waiting. Everything else that is no plain refusal leaves it open.
"""

from enum import Enum, auto

import grpc
import grpc.aio

from clusterd.errors import StoreError

_STALE_LOGIN = ("invalid auth token", "revision of auth store is old", "user name is empty")
_NEVER_TAKEN = (
    "failed to connect",
    "name resolution",
    "dns resolution",
    "etcdserver: no leader",
    "too many requests",
    "for learner",
)
_NO_ANSWER = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.ABORTED,
)
_ADVICE = (
    ("permission denied", "grant the user a role for these keys (etcdctl role grant-permission)"),
    ("authentication failed", "check the user and the password that clusterd is given"),
    ("user name is empty", "give clusterd a user and a password, for this etcd asks for a login"),
    ("database space exceeded", "compact and defragment etcd, then run: etcdctl alarm disarm"),
    ("too large", "split the change, or raise --max-request-bytes of etcd"),
    ("larger than max", "split the change, or raise --max-request-bytes of etcd"),
    ("too many operations", "split the change, or raise --max-txn-ops of etcd"),
    ("requested lease not found", "the lease has ended, so make a new one"),
)


class Fate(Enum):
    """What became of a request that failed."""

    NEVER_TAKEN = auto()  # surely not done: repeat it at will
    NO_ANSWER = auto()  # perhaps done
    STALE_LOGIN = auto()  # refused until we log in again
    REFUSED = auto()  # refused for good


class Refused(StoreError):
    """etcd answered and refused; `code` tells the few refusals apart that are an expected outcome of a call."""

    def __init__(self, message: str, code: grpc.StatusCode) -> None:
        self.code = code
        super().__init__(message)

    @property
    def asks_nobody(self) -> bool:
        """Whether a login was refused because etcd has no authentication."""
        return "authentication is not enabled" in str(self)


def details(error: grpc.aio.AioRpcError) -> str:
    """Return what gRPC or etcd said, on one line."""
    return " ".join((error.details() or error.code().name).split())


def fate(error: grpc.aio.AioRpcError) -> Fate:
    """Return what an error says about the request."""
    said = details(error).lower()
    if any(phrase in said for phrase in _STALE_LOGIN):
        return Fate.STALE_LOGIN
    if any(phrase in said for phrase in _NEVER_TAKEN):
        return Fate.NEVER_TAKEN
    return Fate.NO_ANSWER if error.code() in _NO_ANSWER else Fate.REFUSED


def refusal(target: str, error: grpc.aio.AioRpcError) -> Refused:
    """Return a refusal as the error to raise: who refused, in etcd's words, and what to do about it."""
    said = details(error)
    advice = next((f": {advice}" for phrase, advice in _ADVICE if phrase in said.lower()), "")
    return Refused(f"etcd at {target} refused ({said}){advice}", error.code())
