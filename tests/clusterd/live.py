"""Routers that only say what they would say: their keys in etcd, written by a test."""

import json
from typing import Any

from tests.clusterd.command_line import CommandLine
from tests.store.etcd_server import etcdctl

WELL = {"role": "backup", "token": 0, "head": 1, "applied": 1, "converged": True, "ready": True, "problems": []}


def put(clusterd: CommandLine, key: str, value: object, *options: str) -> None:
    """Write a key, as JSON unless it is a text."""
    text = value if isinstance(value, str) else json.dumps(value)
    etcdctl(clusterd.endpoint, "put", key, text, *options)


def value(clusterd: CommandLine, key: str) -> Any:
    """Return what a key holds, None where it is not there."""
    text = etcdctl(clusterd.endpoint, "get", "--print-value-only", key)
    return json.loads(text) if text.strip() else None


def lease(clusterd: CommandLine, ttl_s: int = 600) -> str:
    """Return a new lease as an option for `put`."""
    return f"--lease={etcdctl(clusterd.endpoint, 'lease', 'grant', str(ttl_s)).split()[1]}"


def report(clusterd: CommandLine, router: str, **fields: object) -> None:
    """Let a router say that all is well, but for these fields."""
    put(clusterd, clusterd.keys.router(router), {**WELL, **fields}, lease(clusterd))


def alive(clusterd: CommandLine, active: str = "r1") -> None:
    """Have two routers that are well, one of them active, and real servers that are up."""
    for router in ("r1", "r2"):
        report(clusterd, router, role="active" if router == active else "backup")
        for server in ("rs1", "rs2", "rs3"):
            verdict = {"up": True, "since": "2026-01-31T10:00:00Z", "detail": "status 200"}
            put(clusterd, clusterd.keys.health("web", server, router), verdict)
    put(clusterd, clusterd.keys.active(), active, lease(clusterd))
