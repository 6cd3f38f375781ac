"""Etcd's members, each looked at by itself."""

import time
from collections.abc import Sequence

import pytest

from clusterd.doctor.facts import MemberFacts
from clusterd.store import members as looked
from clusterd.store.endpoints import Credentials
from tests.store.etcd_server import Member

pytestmark = pytest.mark.etcd

ANYBODY = Credentials()


def named(seen: Sequence[MemberFacts]) -> dict[str, MemberFacts]:
    """Return what is told of each member that is known by its name; of none of them anything is told twice."""
    by_name = {one.name: one for one in seen if one.name}
    assert len(by_name) == sum(bool(one.name) for one in seen)
    return by_name


def here_as_advertised(member: Member) -> bool:
    """Return whether this host reaches a member where it says that it is."""
    return member.advertised == member.endpoint


async def test_a_member_that_is_well_tells_its_name_its_release_and_whether_it_leads(
    members: tuple[Member, ...],
) -> None:
    seen = await looked.members([member.endpoint for member in members], ANYBODY, 3.0)
    told = [(one.endpoint, one.name, one.problem, one.unhealthy, one.listed, one.alarms) for one in seen]
    assert told == [(member.endpoint, member.name, "", "", 3, ()) for member in members]
    assert {one.version[:2] for one in seen} == {"3."}
    assert sum(one.leader for one in seen) == 1


async def test_members_that_only_the_others_know_are_found(members: tuple[Member, ...]) -> None:
    first, *others = members
    seen = await looked.members([first.endpoint], ANYBODY, 3.0)
    assert {one.endpoint for one in seen} == {first.endpoint, *(member.advertised for member in others)}
    told = named(seen)
    assert told.keys() == {member.name for member in members}
    for member in members:
        assert (told[member.name].problem == "") is (member is first or here_as_advertised(member))


async def test_a_dead_member_is_told_by_its_name_and_the_others_are_well(members: tuple[Member, ...]) -> None:
    first, dead, third = members
    dead.kill()
    told = named(await looked.members([first.endpoint, dead.endpoint], ANYBODY, 3.0))
    assert told.keys() == {member.name for member in members}
    assert "answered" in told[dead.name].problem
    assert told[first.name].problem == ""
    assert (told[third.name].problem == "") is here_as_advertised(third)


async def test_a_frozen_member_costs_its_own_time_only(members: tuple[Member, ...]) -> None:
    members[2].pause()
    began_s = time.monotonic()
    seen = await looked.members([member.endpoint for member in members], ANYBODY, 1.0)
    assert time.monotonic() - began_s < 5
    # where it advertises another address than it is asked at, nobody can tell that both are the one that is silent
    assert len(seen) == len(members) + (not here_as_advertised(members[2]))
    told = named(seen)
    assert [bool(told[member.name].problem) for member in members] == [False, False, True]


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
