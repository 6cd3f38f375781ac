"""Checks of every kind in other programs' formats: what can be said comes back, what cannot is noted."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clusterd import lvscf
from clusterd.keepalived import read
from clusterd.model import Cluster
from renderers import keepalived
from renderers import lvscf as as_lvscf
from renderers.rendering import Rendering

MD5 = "md5:5d41402abc4b2a76b9719d911017c592"
SAID: list[dict[str, Any]] = [
    {"type": "tcp", "port": 8080},
    {"type": "icmp"},
    {"type": "dns", "record": "A", "name": "www.example.org"},
    {"type": "udp", "expect": "*"},
    {"type": "udp"},
    {"type": "smtp", "hello": "lb.example.org"},
    {"type": "exec", "command": ["/usr/lib/ok", "-x", "a b"], "user": "daemon"},
    {"type": "https", "verify": False, "path": "/up", "host": "a.org", "server_name": "a.org"},
    {"type": "http", "body": "^hel+o", "digest": MD5, "also": [{"path": "/b", "status": ["300-399", 404]}]},
]
NOTED: list[tuple[dict[str, Any], str]] = [
    ({"type": "redis"}, "check"),
    ({"type": "dns", "answer": "192.0.2.1"}, "check"),
    ({"type": "exec", "command": ["/bin/ok", "%h"]}, "check/command"),
    ({"type": "https"}, "check/verify"),
    ({"type": "https", "verify": False, "server_name": "a.org"}, "check/server_name"),
    ({"type": "smtp", "starttls": True}, "check/starttls"),
    ({"type": "http", "method": "HEAD"}, "check/method"),
    ({"type": "http", "headers": {"A": "b"}}, "check/headers"),
    ({"type": "http", "body": "^a#$"}, "check/body"),
    ({"type": "http", "also": [{"digest": "sha256:" + 64 * "0"}]}, "check/also/0/digest"),
    ({"type": "tcp", "initial": "up"}, "check/initial"),
    ({"type": "tcp", "jitter": 0.5}, "check/jitter"),
    ({"type": "tcp", "recheck_s": 1}, "check/recheck_s"),
]
TIMES = {"interval_s": 4, "timeout_s": 3, "fall": 2, "rise": 1}


def cluster(check: dict[str, Any]) -> Cluster:
    web = {"address": "10.0.0.1/24", "interface": "eth0", "port": 81, "servers": {"a": {"address": "10.0.0.2"}}}
    return Cluster.model_validate({"virtuals": {"web": {**web, "check": TIMES | check}}})


def noted(rendering: Rendering) -> list[str]:
    return [warning.path for warning in rendering.warnings if warning.path.startswith("virtuals/web/")]


@pytest.mark.parametrize("check", SAID, ids=str)
def test_keepalived_is_told_and_tells_the_same(check: dict[str, Any], tmp_path: Path) -> None:
    before = cluster(check)
    rendering = keepalived.render(before)
    assert noted(rendering) == []
    after = read(rendering.text, "eth0").cluster
    (virtual,) = after.virtuals.values()
    assert virtual.check == before.virtuals["web"].check
    if shutil.which("keepalived"):
        file = tmp_path / "keepalived.conf"
        file.write_text(rendering.text)
        tried = subprocess.run(["keepalived", "-t", "-f", file], capture_output=True, text=True, check=False)
        assert "nknown keyword" not in tried.stderr + tried.stdout


@pytest.mark.parametrize(("check", "where"), NOTED, ids=str)
def test_what_keepalived_cannot_be_told_is_noted(check: dict[str, Any], where: str) -> None:
    assert f"virtuals/web/{where}" in noted(keepalived.render(cluster(check)))


@pytest.mark.parametrize(
    "more", [{"expect": "OK"}, {"expect": "O[K]", "regex": True}, {"expect": "*", "command": ["/bin/x", "a b", "%p"]}]
)
def test_a_program_is_said_in_lvs_cf_and_comes_back(more: dict[str, Any]) -> None:
    before = cluster({"type": "exec", "command": ["/bin/x", "%h"], "timeout_s": 4, "fall": 1} | more)
    rendering = as_lvscf.render(before, 1)
    assert noted(rendering) == ["virtuals/web/check/user"]
    assert lvscf.read(rendering.text).cluster.virtuals["web"].check == before.virtuals["web"].check


@pytest.mark.parametrize(
    ("check", "where"),
    [
        ({"type": "exec", "command": ["/bin/x"]}, "check/command"),
        ({"type": "exec", "command": ["/bin/x", "100%%"], "expect": "a"}, "check/command"),
        ({"type": "redis"}, "check"),
        ({"type": "http", "body": "x"}, "check/body"),
        ({"type": "http", "also": [{}]}, "check/also"),
        ({"type": "tcp", "port": 7}, "check/port"),
        ({"type": "tcp", "initial": "down"}, "check/initial"),
    ],
)
def test_what_lvs_cf_cannot_be_told_is_noted(check: dict[str, Any], where: str) -> None:
    assert f"virtuals/web/{where}" in noted(as_lvscf.render(cluster(check), 1))


@pytest.mark.parametrize(
    ("status", "expected"),
    [([200], "200"), (["200-299"], "2[0-9][0-9]"), ([404, "200-203"], "(404|200|201|202|203)")],
)
def test_status_codes_are_a_regular_expression_in_lvs_cf(status: list[Any], expected: str) -> None:
    assert f"^HTTP/1.[01] {expected}" in as_lvscf.render(cluster({"type": "http", "status": status}), 1).text
