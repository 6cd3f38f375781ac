"""What `clusterd-router --release` puts back, and the former kernel settings that it needs for it."""

import json
import logging
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from clusterd import document
from clusterd.clock import boottime_s
from clusterd.dataplane.memory import MemoryPlane
from clusterd.desired import desired, scope, sync_daemons
from clusterd.plan import plan
from clusterd.plane import Item, Key, Service, ServiceKey, Sysctl, SysctlKey
from tests.clusterd.examples import manual
from watchers import last_good
from watchers.former_settings import FormerSettings
from watchers.kernel_writer import Deadlines, KernelWriter
from watchers.last_good import LastGood
from watchers.releasing import released

FORWARD = SysctlKey("ipv4/ip_forward")
UP = {("web", f"rs{number}"): True for number in (1, 2, 3)}


class Host:
    """A router's kernel and its state directory."""

    def __init__(self, folder: Path) -> None:
        self.kernel = MemoryPlane(boottime_s)
        self.configuration = folder / "lvs.json"
        self.file = folder / "lvs.sysctls.json"
        self.former = FormerSettings(self.file)
        self.cluster = manual()

    async def work(self, sync: bool = False) -> None:
        """Do what a router does that has been active."""
        last_good.save(self.configuration, LastGood(1, "hash", self.cluster))
        wanted: dict[Key, Item] = desired(self.cluster, UP, {"default"})
        writer = KernelWriter(lambda: self.kernel, self.former.keep)
        await writer.open()
        deadlines = Deadlines(lambda group: boottime_s() + 60, {})
        done = await writer.converge(wanted, scope(self.cluster), deadlines, look=True)
        await writer.close()
        assert done.converged

    def release(self) -> list[str]:
        done, failures = released(self.kernel, self.configuration, self.former)
        assert failures == ()
        return done


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


async def test_everything_of_ours_goes_and_settings_are_what_they_were(host: Host) -> None:
    theirs = Service(ServiceKey("tcp", IPv4Address("9.9.9.9"), 80), "rr")
    host.kernel.items[theirs.key] = theirs
    before = dict(host.kernel.items)
    await host.work()
    assert host.kernel.items[FORWARD] == Sysctl("ipv4/ip_forward", "1")
    done = host.release()
    kept = {key: item for key, item in host.kernel.items.items() if key in before}
    assert kept == before
    assert all(isinstance(item, Sysctl) for key, item in host.kernel.items.items() if key not in before)
    assert "set sysctl net/ipv4/ip_forward = 0" in done
    assert any(line.startswith("delete service tcp 1.2.3.1:80") for line in done)
    assert any(line.startswith("delete nft table") for line in done)
    assert any(line.startswith("delete address 1.2.3.1/24") for line in done)


async def test_releasing_again_does_nothing(host: Host) -> None:
    await host.work()
    assert host.release()
    assert host.release() == []
    assert not host.file.exists()


async def test_a_later_start_does_not_take_our_own_values_for_the_former_ones(host: Host) -> None:
    await host.work()
    host.kernel.items[FORWARD] = Sysctl("ipv4/ip_forward", "7")  # somebody's drift
    await host.work()
    assert json.loads(host.file.read_text())["ipv4/ip_forward"] == "0"
    host.release()
    assert host.kernel.items[FORWARD] == Sysctl("ipv4/ip_forward", "0")


async def test_what_was_as_it_should_be_is_not_put_back(host: Host) -> None:
    host.kernel.items[FORWARD] = Sysctl("ipv4/ip_forward", "1")
    await host.work()
    host.release()
    assert host.kernel.items[FORWARD] == Sysctl("ipv4/ip_forward", "1")


async def test_without_a_configuration_the_table_and_the_settings_are_known(host: Host) -> None:
    await host.work()
    host.configuration.unlink()
    done = host.release()
    assert any(line.startswith("delete nft table") for line in done)
    assert host.kernel.items[FORWARD] == Sysctl("ipv4/ip_forward", "0")
    assert any(isinstance(item, Service) for item in host.kernel.items.values())


async def test_what_the_kernel_refuses_is_told_and_can_be_tried_again(host: Host) -> None:
    host.former.keep([Sysctl("ipv4/no_such_thing", "1"), Sysctl("ipv4/ip_forward", "1")])
    done, failures = released(host.kernel, host.configuration, host.former)
    assert done == ["set sysctl net/ipv4/ip_forward = 1"]
    assert [str(each) for each in failures] == [
        "set sysctl net/ipv4/no_such_thing = 1: No such file or directory",
    ]
    assert host.file.exists()


async def test_sync_daemons_end(host: Host) -> None:
    host.cluster = host.cluster.model_copy(
        update={"settings": document.from_data({"cluster": {"sync": {"interface": "eth1"}}}).settings}
    )
    await host.work()
    host.kernel.apply(plan({}, sync_daemons(host.cluster, sending=True)), boottime_s())
    assert sum(line.startswith("delete sync daemon") for line in host.release()) == 2


def test_what_is_kept_is_never_overwritten_and_nothing_is_written_twice(host: Host) -> None:
    host.former.keep([Sysctl("ipv4/ip_forward", "0")])
    stamp = host.file.stat().st_mtime_ns
    host.former.keep([Sysctl("ipv4/ip_forward", "1")])
    assert host.file.stat().st_mtime_ns == stamp
    host.former.keep([Sysctl("ipv4/vs/conntrack", "0")])
    assert host.former.read() == (Sysctl("ipv4/vs/conntrack", "0"), Sysctl("ipv4/ip_forward", "0"))


@pytest.mark.parametrize("content", ["", "[]", "7", "{"])
def test_a_file_that_cannot_be_read_is_told(host: Host, caplog: pytest.LogCaptureFixture, content: str) -> None:
    host.file.write_text(content)
    with caplog.at_level(logging.ERROR):
        assert host.former.read() == ()
    assert "former kernel settings are not known" in caplog.text


def test_a_directory_that_cannot_be_written_does_not_stop_a_router(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    former = FormerSettings(tmp_path / "file" / "below")
    with caplog.at_level(logging.ERROR):
        former.keep([Sysctl("ipv4/ip_forward", "0")])
    assert "--release will not put them back" in caplog.text
