"""Etcd's members, each looked at by itself."""

import time

import pytest

from clusterd.store import members as looked
from clusterd.store.endpoints import Credentials
from tests.store.etcd_server import Member

pytestmark = pytest.mark.etcd

ANYBODY = Credentials()


async def test_a_member_that_is_well_tells_its_name_its_release_and_that_it_leads(server: Member) -> None:
    (seen,) = await looked.members([server.endpoint], ANYBODY, 3.0)
    assert (seen.endpoint, seen.name, seen.problem, seen.unhealthy) == (server.endpoint, server.name, "", "")
    assert seen.version.startswith("3.")
    assert (seen.leader, seen.listed, seen.alarms) == (True, 1, ())


async def test_membersthat_only_the_others_know_are_found(members: tuple[Member, ...]) -> None:
    seen = await looked.members([members[0].endpoint], ANYBODY, 3.0)
    assert {one.endpoint for one in seen} == {member.endpoint for member in members}
    assert [one.problem for one in seen] == [""] * 3
    assert sum(one.leader for one in seen) == 1
    assert {one.listed for one in seen} == {3}


async def test_a_dead_member_is_told_by_its_name_and_the_others_are_well(members: tuple[Member, ...]) -> None:
    members[1].kill()
    seen = await looked.members([member.endpoint for member in members[:2]], ANYBODY, 3.0)
    dead = next(one for one in seen if one.endpoint == members[1].endpoint)
    assert dead.name == members[1].name
    assert "answered" in dead.problem
    assert len(seen) == 3
    assert [one.problem for one in seen if one is not dead] == ["", ""]


async def test_a_frozen_member_costs_its_own_time_only(members: tuple[Member, ...]) -> None:
    members[2].pause()
    began_s = time.monotonic()
    seen = await looked.members([member.endpoint for member in members], ANYBODY, 1.0)
    assert time.monotonic() - began_s < 5
    assert [bool(one.problem) for one in seen] == [False, False, True]


async def test_without_a_quorum_a_member_is_not_healthy(members: tuple[Member, ...]) -> None:
    for member in members[1:]:
        member.kill()
    (alone,) = [
        one for one in await looked.members([members[0].endpoint], ANYBODY, 1.5) if one.endpoint == members[0].endpoint
    ]
    assert alone.problem or alone.unhealthy


async def test_a_clock_is_read_from_the_date_of_an_answer(server: Member) -> None:
    offset_s = await looked.clock_offset_s(server.endpoint, ANYBODY, 2.0)
    assert offset_s is not None
    assert abs(offset_s) <= 1.0
    assert await looked.clock_offset_s("http://127.0.0.1:1", ANYBODY, 0.5) is None
