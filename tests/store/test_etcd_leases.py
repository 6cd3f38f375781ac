"""Leases on a real etcd that freezes: the end that a holder counts with is never later than etcd's."""

import asyncio
from pathlib import Path

import pytest

from clusterd.clock import boottime_s
from clusterd.errors import StoreUnavailable
from clusterd.store.contract import Put
from clusterd.store.keepalive import ATTEMPT_S
from tests.store.breaking import asked, connected, counted, gauge
from tests.store.etcd_server import Member

pytestmark = pytest.mark.etcd


async def test_a_refresh_moves_on_from_a_frozen_member_within_seconds(members: tuple[Member, ...]) -> None:
    async with connected(*members) as store:
        lease = await store.grant(20)
        asked(store, members).pause()
        started_s = boottime_s()
        end_s = started_s + 10
        while True:
            try:
                fresh = await store.refresh(lease.lease_id)
                break
            except StoreUnavailable:
                assert boottime_s() < end_s, "the cluster has elected a leader by now"
        assert fresh.sent_s >= started_s + ATTEMPT_S - 0.05, "the moment of the request that was answered"
        assert fresh.ttl_s == lease.ttl_s


async def test_the_end_of_a_lease_counts_from_the_request_and_not_from_the_answer(tmp_path: Path) -> None:
    with Member(tmp_path) as member:
        async with connected(member) as store:
            lease = await store.grant(3)
            await store.transact((), (Put("/lock", b"", lease.lease_id),))
            member.pause()
            asked_s = boottime_s()
            refreshing = asyncio.create_task(store.refresh(lease.lease_id))
            await asyncio.sleep(0.6)
            member.resume()
            fresh = await refreshing
            assert asked_s <= fresh.sent_s < asked_s + 0.3
            await asyncio.sleep(fresh.sent_s + fresh.ttl_s - 0.1 - boottime_s())
            assert await store.get("/lock") is not None


async def test_an_answer_that_comes_late_is_not_taken_for_that_of_a_later_refresh(tmp_path: Path) -> None:
    with Member(tmp_path) as member:
        async with connected(member) as store:
            lease = await store.grant(30)
            await store.refresh(lease.lease_id)
            member.pause()
            with pytest.raises(StoreUnavailable, match="silent"):
                await store.refresh(lease.lease_id)
            resumed_s = boottime_s()
            member.resume()
            assert (await store.refresh(lease.lease_id)).sent_s >= resumed_s


async def test_refreshes_share_one_stream_while_each_has_its_answer(tmp_path: Path) -> None:
    opened = counted("server_started", "LeaseKeepAlive", "Lease")
    with Member(tmp_path) as member:
        async with connected(member) as store:
            first, second = await store.grant(30), await store.grant(40)
            for lease in (first, second) * 3:
                assert (await store.refresh(lease.lease_id)).ttl_s == lease.ttl_s
            assert gauge(member, opened) == 1
            await store.revoke(second.lease_id)
            assert (await store.refresh(second.lease_id)).ttl_s == 0
            assert (await store.refresh(first.lease_id)).ttl_s == 30


async def test_refreshes_at_the_same_time_do_not_mix_up_their_answers(tmp_path: Path) -> None:
    with Member(tmp_path) as member:
        async with connected(member) as store:
            leases = [await store.grant(ttl_s) for ttl_s in range(20, 30)]
            for _ in range(2):
                fresh = await asyncio.gather(*(store.refresh(lease.lease_id) for lease in leases))
                assert [(one.lease_id, one.ttl_s) for one in fresh] == [(one.lease_id, one.ttl_s) for one in leases]


async def test_a_refresh_works_after_the_only_member_was_restarted(tmp_path: Path) -> None:
    with Member(tmp_path) as member:
        async with connected(member) as store:
            lease = await store.grant(30)
            await store.refresh(lease.lease_id)
            member.kill()
            await asyncio.sleep(0.5)
            member.start()
            await store.get("/answers")
            assert (await store.refresh(lease.lease_id)).ttl_s > 0
