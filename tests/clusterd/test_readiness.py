"""When a router is ready to serve, and what it says when it is not."""

from dataclasses import replace

import pytest

from clusterd.readiness import Found, readiness

READY = Found(head=7, applied=7, converged=True, unchecked=0, sync_since_s=100.0, window_s=10.0)


def test_a_router_is_ready_when_nothing_speaks_against_it() -> None:
    assert readiness(READY, 110.0) == ()
    assert readiness(replace(READY, sync_since_s=None, window_s=None), 0.0) == ()


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (replace(READY, applied=6), "commit 7 is not applied, commit 6 is"),
        (replace(READY, converged=False), "the kernel is not as the configuration wants it"),
        (replace(READY, unchecked=2), "2 real servers were not checked yet"),
        (replace(READY, missing=("eth0 has no carrier",)), "eth0 has no carrier"),
        (replace(READY, sync_since_s=None), "connections of the active router are not taken in"),
        (replace(READY, sync_since_s=100.1), "connections are taken in for less than 10 s"),
    ],
)
def test_each_thing_that_is_missing_is_a_reason(found: Found, reason: str) -> None:
    assert readiness(found, 110.0) == (reason,)


def test_whoever_is_active_knows_the_connections_that_it_has() -> None:
    assert readiness(replace(READY, active=True, sync_since_s=None), 0.0) == ()


def test_all_reasons_are_told_at_once() -> None:
    assert len(readiness(Found(head=7, applied=6, converged=False, unchecked=1, missing=("x",)), 0.0)) == 4
