"""``clusterd apply`` of a big document is killed (SIGKILL) while it commits to a real etcd."""

import asyncio
import time

import pytest

from clusterd.configuration import commit, read
from clusterd.document import dump
from clusterd.store.etcd import EtcdStore
from tests.clusterd.big import LARGE, LARGER, OTHER, check_whole
from tests.clusterd.command_line import CommandLine
from tests.clusterd.commits import ALICE, BOB

AFTER_S = [0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3]  # after the first piece stands


async def applying_killed(clusterd: CommandLine, store: EtcdStore, file: str, after_s: float) -> None:
    """Start to apply a document, and kill the process so long after its mark is seen."""
    before = await store.snapshot(clusterd.keys.staging_prefix)
    with clusterd.start("apply", "-f", file, "--yes", "--force") as process:
        end_s = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < end_s:
            if (await store.snapshot(clusterd.keys.staging_prefix)).entries != before.entries:
                await asyncio.sleep(after_s)
                break
            await asyncio.sleep(0.001)
        process.kill()


@pytest.mark.timeout(300)
async def test_an_editor_killed_while_it_commits_leaves_one_of_the_two_documents(clusterd: CommandLine) -> None:
    store, keys = EtcdStore([clusterd.endpoint]), clusterd.keys
    try:
        base = await commit(store, keys, None, LARGE, ALICE)
        file = clusterd.file("larger.yaml", dump(LARGER))
        done = 0
        for after_s in AFTER_S:
            await applying_killed(clusterd, store, file, after_s)
            stands = await read(store, keys)
            assert stands is not None
            assert stands.strays == ()
            assert (stands.cluster, stands.number) in ((LARGER, base.number + 1), (base.cluster, base.number))
            done += stands.number > base.number
            following = OTHER if stands.cluster == LARGE else LARGE
            base = await commit(store, keys, stands, following, BOB)
            await check_whole(store, following, stands.number + 1, keys)
        print(f"\n{done} of {len(AFTER_S)} were killed after the commit")
        assert done < len(AFTER_S)
    finally:
        await store.close()
