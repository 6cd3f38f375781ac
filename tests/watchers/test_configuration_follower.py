"""Which configuration is followed, and since when its servers are drained."""

from datetime import UTC, datetime
from pathlib import Path

from clusterd import configuration
from clusterd.configuration import Committed
from clusterd.history import Author, Signature
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.memory import MemoryStore
from tests.clusterd.weights.test_drains import cluster
from watchers.configuration_follower import ConfigurationFollower
from watchers.problems import Problems

KEYS = Keys("test")


async def committed(store: MemoryStore, *clusters: Cluster) -> list[Committed]:
    found: list[Committed] = []
    for number, each in enumerate(clusters):
        signed = Signature(Author(user="tester", host="here"), datetime.now(UTC), f"commit {number}")
        found.append(await configuration.commit(store, KEYS, found[-1] if found else None, each, signed))
    return found


async def test_a_drain_keeps_its_moment_through_commits_and_restarts_unless_commits_were_missed(tmp_path: Path) -> None:
    store = MemoryStore()
    first, second, _, fourth = await committed(
        store, cluster("rs1"), cluster("rs1", "rs2"), cluster("rs2"), cluster("rs1", "rs2")
    )

    def follower() -> ConfigurationFollower:
        return ConfigurationFollower(store, KEYS, Problems(), tmp_path / "good.json", tmp_path / "lvs.cf")

    one = follower()
    good = await one.consider(first)
    assert good is not None
    began_s = good.drains["web/rs1"]
    good = await one.consider(second)
    assert good is not None
    assert good.drains["web/rs1"] == began_s < good.drains["web/rs2"]
    await one.save()
    again = follower()
    assert again.start() == good
    assert again.good is not None
    assert again.good.drains == good.drains
    late = await again.consider(fourth)
    assert late is not None
    assert late.drains["web/rs1"] > good.drains["web/rs2"], "rs1 was not drained in between, which was not seen"
