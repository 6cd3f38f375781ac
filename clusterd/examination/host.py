"""A router's own host: interfaces, kernel settings, IPVS, programs, the way to the other routers, and the clock."""

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusterd.dataplane import sysctl
from clusterd.dataplane.links import links
from clusterd.desired import scope
from clusterd.doctor.facts import HostFacts, Link
from clusterd.errors import ApplyError
from clusterd.examination.servers import look_at_servers
from clusterd.health import Observation
from clusterd.model import Cluster, IcmpCheck, Router
from clusterd.probing import probe
from clusterd.store.endpoints import Credentials
from clusterd.store.members import clock_offset_s

PING_S = 1.0
PROGRAM_S = 3.0
CLOCK_S = 2.0
_IPVS = Path("/proc/thread-self/net/ip_vs")
_MODULES = Path("/proc/modules")
_LIST = Path("/lib/modules", os.uname().release, "modules.dep")  # of what can be loaded
_PROGRAMS = {"nft": ("nft", "--version"), "ipvsadm": ("ipvsadm", "--version"), "etcdctl": ("etcdctl", "version")}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Here:
    """Who looks: a router by its name, what it follows, the groups in which it is active, and where etcd is."""

    me: str
    cluster: Cluster
    groups: Collection[str]
    endpoints: tuple[str, ...]
    credentials: Credentials


async def look(here: Here) -> HostFacts:
    """Return what can be seen on this host, all looked at side by side."""
    unseen: list[str] = []
    found_links, programs, modules, peers, clocks, servers = await asyncio.gather(
        asyncio.to_thread(_links, unseen),
        _programs(),
        _modules(_schedulers(here.cluster)),
        _peers(here),
        clocks_of(here.endpoints, here.credentials),
        look_at_servers(here.cluster, here.groups, here.cluster.routers.get(here.me), here.me),
    )
    return HostFacts(
        links=found_links,
        settings={each.name: each.value for each in sysctl.read(scope(here.cluster).sysctls)},
        ipvs=_ipvs(unseen),
        modules=modules,
        programs=programs,
        peers=peers,
        clocks=clocks,
        servers=servers,
        unseen=tuple(unseen),
    )


def _links(unseen: list[str]) -> tuple[Link, ...] | None:
    try:
        return links()
    except ApplyError as error:
        unseen.append(str(error))
        return None


def _ipvs(unseen: list[str]) -> str | None:
    try:
        return _IPVS.read_text().partition("\n")[0]
    except FileNotFoundError:
        return ""
    except OSError as error:
        unseen.append(f"IPVS: {error.strerror}, which root may see")
        return None


def _schedulers(cluster: Cluster) -> list[str]:
    return sorted({f"ip_vs_{virtual.scheduler}" for virtual in cluster.virtuals.values()})


async def _modules(names: Iterable[str]) -> dict[str, bool | None]:
    """Return of each module whether it is loaded or could be; None where nobody can tell."""
    wanted = list(names)
    loaded = _loaded()
    missing = [name for name in wanted if name not in loaded]
    if not _listed():
        return {name: True if name in loaded else None for name in wanted}
    there = await asyncio.gather(*(printed("modprobe", "--dry-run", "--quiet", name) for name in missing))
    could = {name: None if text is None else ended == 0 for name, (text, ended) in zip(missing, there, strict=True)}
    return {name: True if name in loaded else could[name] for name in wanted}


def _listed() -> bool:
    """Tell whether it can be seen what could be loaded: not in a container, nor under ProtectKernelModules."""
    return _LIST.exists()


def _loaded() -> set[str]:
    try:
        return {line.split()[0] for line in _MODULES.read_text().splitlines()}
    except OSError:
        return set()


async def _programs() -> dict[str, str]:
    """Return the line in which each program tells its version, "" where there is no such program."""
    told = await asyncio.gather(*(printed(*command) for command in _PROGRAMS.values()))
    lines = [None if text is None else next(iter(text.splitlines()), "").strip() for text, _ in told]
    return {
        name: "" if line is None else line or "it does not tell its version"
        for name, line in zip(_PROGRAMS, lines, strict=True)
    }


async def printed(program: str, *arguments: str) -> tuple[str | None, int]:
    """Return what a program prints and its exit status; None where it is not there, or does not end in time."""
    path = shutil.which(program, path=_PATH)
    if path is None:
        return None, -1
    try:
        process = await asyncio.create_subprocess_exec(path, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    except OSError:
        return None, -1
    try:
        async with asyncio.timeout(PROGRAM_S):
            text, _ = await process.communicate()
        return text.decode(errors="replace"), process.returncode or 0
    except TimeoutError:
        process.kill()
        await process.wait()
        return None, -1


async def _peers(here: Here) -> dict[str, dict[str, str | None]]:
    """Ping every other router at each of its addresses; "" is an answer, None: it could not be asked."""
    paths = [
        (name, str(address))
        for name, router in here.cluster.routers.items()
        if name != here.me
        for address in addresses(router)
    ]
    check = IcmpCheck(type="icmp", timeout_s=PING_S)
    answers = await asyncio.gather(*(probe(address, 0, check) for _, address in paths))
    found: dict[str, dict[str, str | None]] = {}
    for (name, address), answer in zip(paths, answers, strict=True):
        found.setdefault(name, {})[address] = why_not(answer)
    return found


def why_not(answer: Observation) -> str | None:
    """Return why there was no answer, None where nobody could ask: pings may take a right that we do not have."""
    if not answer.conclusive:
        return None
    return "" if answer.ok else answer.detail


def addresses(router: Router) -> list[str]:
    """Return the router's own addresses."""
    return [str(each) for each in (router.public, router.private, router.public6, router.private6) if each is not None]


async def clocks_of(endpoints: Collection[str], credentials: Credentials) -> Mapping[str, float | None]:
    """Return how much later it is at each member of etcd than here."""
    offsets_s = await asyncio.gather(*(clock_offset_s(each, credentials, CLOCK_S) for each in endpoints))
    return dict(zip(endpoints, offsets_s, strict=True))
