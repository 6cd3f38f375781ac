"""The whole cluster, looked at from one host: etcd, the routers, which look at themselves, and the real servers."""

import asyncio
import secrets
from collections.abc import Collection, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace

from clusterd import configuration, document, settings
from clusterd.doctor.facts import Facts, HostFacts, ServerFacts, host_facts
from clusterd.errors import ClusterdError, StoreUnavailable
from clusterd.examination.host import Here, clocks_of, look
from clusterd.examination.servers import look_at_servers
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.observing import local, observe
from clusterd.overview import Overview, overview
from clusterd.reports import encoded
from clusterd.settings import Settings
from clusterd.store.contract import Entry, Put, Store
from clusterd.store.members import members

QUESTION_S = 60
ANSWER_S = 25.0  # for all routers together: they look side by side
MEMBER_S = 2.5


async def whole(read: Settings, store: Store) -> tuple[Facts, ClusterdError | None]:
    """Return what can be seen from here, and why etcd could not be asked, if it could not."""
    keys = Keys(read.cluster)
    down: ClusterdError | None = None
    asked = asyncio.create_task(members(read.endpoints, settings.credentials(read), MEMBER_S))
    clocks = asyncio.create_task(clocks_of(read.endpoints, settings.credentials(read)))
    try:
        facts = await _by_etcd(read, store, keys)
    except StoreUnavailable as error:
        facts, down = await _by_the_router_here(read), error
    except ClusterdError as error:
        facts, down = Facts(), error
    if facts.cluster is not None:
        missing = await _missing(facts.cluster, facts.hosts, read.router)
        facts = replace(facts, servers=missing)
    return replace(facts, members=await asked, login=read.login, clocks=await clocks), down


async def _by_etcd(read: Settings, store: Store, keys: Keys) -> Facts:
    """Return what is committed, what routers say, and what they see when they are asked to look."""
    base = await configuration.read(store, keys)
    if base is None:
        return Facts()
    seen, _ = await observe(store, keys, base)
    view = overview(keys.cluster, base.number, base.cluster, seen)
    alive = {line.name for line in view.routers if line.alive}
    here = read.router if read.router in base.cluster.routers and read.router not in alive else ""
    answers, mine = await asyncio.gather(
        _answers(store, keys, alive & base.cluster.routers.keys()), _look_here(read, base.cluster, here, ())
    )
    hosts, silent = answers
    return Facts(base.cluster, view, hosts={**hosts, **mine}, silent=silent)


async def _by_the_router_here(read: Settings) -> Facts:
    """Return what the router on this host knows while etcd is down."""
    known = await local(read.socket)
    if known is None:
        return Facts()
    cluster = document.from_objects(known.objects)
    active = [holder.group for line in known.overview.routers if line.name == known.router for holder in line.holds]
    hosts = await _look_here(read, cluster, known.router, active)
    return Facts(cluster, _of_one(known.overview, known.router), hosts=hosts)


def _of_one(view: Overview, router: str) -> Overview:
    """Return the view without what a router does not know: nobody's life but its own."""
    lines = tuple(line if line.name == router else line.model_copy(update={"alive": None}) for line in view.routers)
    return view.model_copy(update={"routers": lines})


async def _look_here(read: Settings, cluster: Cluster, me: str, groups: Collection[str]) -> dict[str, HostFacts]:
    """Look at this host where it is a router that nobody else tells of."""
    if not me:
        return {}
    return {me: await look(Here(me, cluster, groups, read.endpoints, settings.credentials(read)))}


async def _answers(store: Store, keys: Keys, routers: set[str]) -> tuple[dict[str, HostFacts], dict[str, str]]:
    """Ask these routers to look at their hosts; return what they saw, and why others did not answer."""
    question, found = secrets.token_hex(8), dict[str, HostFacts]()
    if not routers:
        return found, {}
    try:
        lease = await store.grant(QUESTION_S)
        asked = await store.transact([], [Put(keys.doctor(question), encoded({}), lease.lease_id)])
    except ClusterdError as error:
        return found, dict.fromkeys(routers, f"it could not be asked: {error}")
    with suppress(TimeoutError, ClusterdError):
        async with asyncio.timeout(ANSWER_S):
            prefix = keys.doctor_answer(question, "")
            async with aclosing(store.watch(prefix, asked.revision)) as batches:
                async for batch in batches:
                    for change in batch.changes:
                        if isinstance(change, Entry):
                            found[change.key.removeprefix(prefix)] = host_facts(change.value)
                    if routers <= found.keys():
                        break
    with suppress(ClusterdError):
        await store.revoke(lease.lease_id)
    return found, dict.fromkeys(routers - found.keys(), f"it did not answer within {ANSWER_S:g} s")


async def _missing(cluster: Cluster, hosts: Mapping[str, HostFacts], me: str) -> Mapping[str, ServerFacts]:
    """Look from here at the real servers that no active router looked at: as far as this host can see them."""
    told = {place.partition("/")[0] for host in hosts.values() for place in host.servers}
    groups = {virtual.group for name, virtual in cluster.virtuals.items() if name not in told}
    return await look_at_servers(cluster, groups, None, me) if groups else {}
