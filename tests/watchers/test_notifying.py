"""What systemd is told, heard at a real socket, of the services as processes."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.etcd_server import Member
from watchers.notifying import LOOK_S, Notifier


class Systemd:
    """Listens as systemd does."""

    def __init__(self, address: str) -> None:
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._door.bind("\0" + address[1:] if address.startswith("@") else address)
        self._door.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address}

    async def heard(self, within_s: float = 30) -> list[str]:
        """Return the fields of the next message."""
        async with asyncio.timeout(within_s):
            return (await asyncio.get_running_loop().sock_recv(self._door, 4096)).decode().split("\n")

    async def until(self, field: str, within_s: float = 30) -> list[str]:
        """Return the first message with a field that begins so."""
        async with asyncio.timeout(within_s):
            while True:
                heard = await self.heard()
                if any(each.startswith(field) for each in heard):
                    return heard

    async def silence(self, quiet_s: float, limit_s: float = 30) -> None:
        """Wait until nothing is heard any more for so long."""
        async with asyncio.timeout(limit_s):
            while True:
                try:
                    await self.heard(quiet_s)
                except TimeoutError:
                    return

    def close(self) -> None:
        self._door.close()


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(str(tmp_path / "notify") if request.param == "file" else f"@clusterd-test-{os.getpid()}")
    yield made
    made.close()


async def test_a_service_is_ready_once_and_alive_as_long_as_its_work_goes_on(systemd: Systemd) -> None:
    notifier = Notifier(systemd.environ | {"WATCHDOG_USEC": "30000", "WATCHDOG_PID": str(os.getpid())})
    well, line = False, "begins"
    running = asyncio.create_task(notifier.run(lambda: well, lambda: line))
    await systemd.silence(0.2)
    well = True
    assert await systemd.heard() == ["WATCHDOG=1", "READY=1", "STATUS=begins"]
    assert await systemd.heard() == ["WATCHDOG=1"]
    line = "is\nactive"
    assert await systemd.until("STATUS") == ["WATCHDOG=1", "STATUS=is active"]
    well = False
    await systemd.silence(0.2)
    running.cancel()


def test_the_watchdog_is_fed_three_times_in_its_time_and_is_for_this_process_only() -> None:
    mine, others = str(os.getpid()), "1"
    assert Notifier({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": mine}).every_s == 0.5
    assert Notifier({"WATCHDOG_USEC": "10000000"}).every_s == LOOK_S
    assert Notifier({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": others}).every_s == LOOK_S


def test_no_child_inherits_what_the_service_is_told_by_and_silence_hurts_nobody(tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "PATH": "/bin"}
    Notifier(environ).tell(READY="1")
    assert environ == {"PATH": "/bin"}
    Notifier({}).tell(READY="1")


def settings(member: Member, folder: Path, service: str) -> dict[str, str]:
    """Return the environment of a service that systemd watches every 0.6 s."""
    said = {
        "CLUSTERD_CONFIG": os.devnull,
        "CLUSTERD_CLUSTER": f"notifying-{service}",
        "CLUSTERD_ENDPOINTS": member.endpoint,
        "CLUSTERD_DATA_PLANE": "dry_run",
        "CLUSTERD_ROUTER": "r1",
        "CLUSTERD_STATE_DIR": str(folder),
        "CLUSTERD_RUN_DIR": str(folder),
    }
    return {"PATH": os.environ["PATH"], "WATCHDOG_USEC": "600000", **said}


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    with Member(tmp_path_factory.mktemp("etcd")) as running:
        yield running


@pytest.mark.etcd
@pytest.mark.parametrize("service", ["router", "agent", "undoer"])
async def test_each_service_says_that_it_is_ready_alive_and_stopping(
    service: str, member: Member, tmp_path: Path
) -> None:
    systemd = Systemd(str(tmp_path / "notify"))
    command = (sys.executable, "-m", "watchers", service, *(["--linger-s", "0"] if service == "agent" else []))
    process = await asyncio.create_subprocess_exec(*command, env=settings(member, tmp_path, service) | systemd.environ)
    ready = await systemd.until("READY=1")
    assert "WATCHDOG=1" in ready
    assert any(field.startswith("STATUS=") for field in ready)
    assert "WATCHDOG=1" in await systemd.heard(5)
    process.send_signal(signal.SIGTERM)
    assert await systemd.until("STOPPING=1") == ["STOPPING=1"]
    assert await process.wait() == 0
    systemd.close()


@pytest.mark.etcd
async def test_a_router_that_hangs_feeds_the_watchdog_no_more(member: Member, tmp_path: Path) -> None:
    """Its decisions hang, and nothing else: the process and its loop live on."""
    systemd = Systemd(str(tmp_path / "notify"))
    program = (
        "import asyncio, watchers.router as r, watchers.service as s\n"
        "take = r.Router._take\n"
        "seen = []\n"
        "async def hang(self, event):\n"
        "    seen.append(event)\n"
        "    await take(self, event) if len(seen) < 30 else await asyncio.sleep(60)\n"
        "r.Router._take = hang\n"
        "s.main([])\n"
    )
    environ = settings(member, tmp_path, "hangs") | systemd.environ
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=environ)
    await systemd.until("READY=1")
    await systemd.silence(2)
    assert process.returncode is None
    process.kill()
    await process.wait()
    systemd.close()
