"""The router service as a program: settings, logging, signals, and the real parts put together."""

import asyncio
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from clusterd import __version__, settings
from clusterd.clock import boottime_s
from clusterd.dataplane.ipvs import counters
from clusterd.dataplane.kernel import Kernel
from clusterd.dataplane.memory import MemoryPlane
from clusterd.errors import ApplyError, ClusterdError
from clusterd.keys import Keys
from clusterd.plane import Plane, Scope
from clusterd.settings import Settings
from watchers import logs
from watchers.allocation import keep_the_heap_small
from watchers.etcd_releases import EtcdReleases
from watchers.former_settings import FormerSettings
from watchers.kernel_writer import Counting, KernelWriter
from watchers.local_socket import LocalSocket, answer, planned
from watchers.logs import tagged
from watchers.notifying import Notifier
from watchers.releasing import released
from watchers.router import Places, Router
from watchers.tasks import Tasks

if TYPE_CHECKING:
    from clusterd.doctor.facts import MemberFacts

log = logging.getLogger("clusterd.router")

MEMBER_S = 2.5  # within which a member of etcd tells its release
SWITCH_S = 0.0005  # the event loop has to wait no longer for a thread that computes, at each message that it sends
HUNG_S = 3.0  # a router that decides nothing for so long is not alive: it takes a tick ten times a second


@click.command()
@click.option("--router", help="this router's name in the configuration; the host's name by default")
@click.option("-v", "--verbose", is_flag=True, help="log what is only of interest to developers, too")
@click.option("--release", is_flag=True, help="put back what a router that was stopped had changed in this kernel")
@click.version_option(__version__)
def main(router: str | None, verbose: bool, release: bool) -> None:
    """Run this host as an LVS router of a clusterd cluster.

    Settings come from /etc/clusterd/clusterd.toml and from CLUSTERD_… variables. SIGTERM hands over to another router;
    SIGHUP ends and leaves everything as it is, for a service that is started again at once.
    """
    keep_the_heap_small()
    try:
        read = settings.read({"router": router})
        level = logging.DEBUG if verbose else logging.INFO
        logs.begin("router", chosen=read.log_format, level=level, cluster=read.cluster, router=read.router)
        sys.setswitchinterval(SWITCH_S)
        with _only_one(read.run_dir):
            if release:
                _release(read)
            else:
                asyncio.run(_serve(read))
    except ApplyError as error:
        sys.exit(f'clusterd-router: {error}; with data_plane = "dry_run" everything but the data plane works')
    except ClusterdError as error:
        sys.exit(f"clusterd-router: {error}")
    except PermissionError as error:
        sys.exit(f"clusterd-router: {error}; it needs CAP_NET_ADMIN and CAP_NET_RAW, and its own directories")
    except OSError as error:
        sys.exit(f"clusterd-router: {error}")


def _release(read: Settings) -> None:
    """Put back what was changed, and say so. Raises ApplyError where something is left."""
    with closing(Kernel()) as kernel:
        done, failures = released(kernel, _last_good(read), FormerSettings(_former(read)))
    for line in done:
        click.echo(line)
    if failures:
        raise ApplyError("; ".join(map(str, failures)))
    click.echo("nothing of this router is left in the kernel")


def _last_good(read: Settings) -> Path:
    return read.state_dir / f"{read.cluster}.json"


def _former(read: Settings) -> Path:
    return read.state_dir / f"{read.cluster}.sysctls.json"


async def _serve(read: Settings) -> None:
    store = settings.open_store(read)
    places = Places(
        last_good=_last_good(read),
        lease=read.run_dir / f"{read.cluster}.lease",
        lvs_cf=read.lvs_cf,
    )
    dry_run = read.data_plane == "dry_run"
    count: Counting = (lambda _: {}) if dry_run else counters
    writer = _in_memory() if dry_run else KernelWriter(Kernel, FormerSettings(_former(read)).keep, counters)
    router = Router(read.router, store, Keys(read.cluster), writer, places)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, router.stop)
    loop.add_signal_handler(signal.SIGHUP, router.leave)
    where = ", ".join(read.endpoints)
    told = "clusterd %s: router %s of cluster %s, etcd at %s"
    log.info(told, __version__, read.router, read.cluster, where, extra=tagged("start"))
    tasks = Tasks()
    local = LocalSocket(read.socket, router.sight, lambda sight: answer(sight, count))
    tasks.supervise("the local socket", local.run)
    plans = LocalSocket(
        read.plan_socket, router.wanted, lambda wanted: planned(read.router, wanted, _untouched if dry_run else _looked)
    )
    tasks.supervise("the socket for plans", plans.run)
    tasks.supervise("etcd's releases", EtcdReleases(lambda: _members(read), read.login, router.warn_of).run)
    notifier = Notifier()
    tasks.supervise("telling systemd", lambda: notifier.run(lambda: _decides(router), router.line))
    if read.metrics:
        from watchers.metrics import Endpoint, counting  # here, since the library for it takes 8 MB

        tasks.supervise("metrics", Endpoint(read, router.figures, router.problems).run)
        tasks.supervise("reading counters", lambda: counting(writer, router.scope))
    try:
        await router.run()
    finally:
        notifier.tell(STOPPING="1")
        await tasks.end()
        await store.close()
    log.info("ended", extra=tagged("end"))


def _members(read: Settings) -> "Awaitable[tuple[MemberFacts, ...]]":
    from clusterd.store.members import members  # loads gRPC, which `clusterd-router --release` does not need

    return members(read.endpoints, settings.credentials(read), MEMBER_S)


def _decides(router: Router) -> bool:
    return boottime_s() < router.decided_s + HUNG_S


def _in_memory() -> KernelWriter:
    """Return a writer to a kernel that nobody uses: it obeys the real one's rules, and nothing leaves this process."""
    return KernelWriter(lambda: MemoryPlane(boottime_s), dry_run=True)


def _untouched(scope: Scope) -> Plane:
    """Return what a kernel has that nobody changed, so that a plan in a dry run is all that would be written."""
    return MemoryPlane(boottime_s).read(scope)


def _looked(scope: Scope) -> Plane:
    """Read the kernel over sockets of its own, so that nobody who writes has to wait."""
    with closing(Kernel()) as kernel:
        return kernel.read(scope)


def _only_one(run_dir: Path) -> IO[str]:
    """Lock the run directory for this process. Raises OSError where another one has it."""
    run_dir.mkdir(parents=True, exist_ok=True)
    file = (run_dir / "router.pid").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise OSError(
            f"a router service is running here, see {run_dir / 'router.pid'}; systemctl stop clusterd-router stops it"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
