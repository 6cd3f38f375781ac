"""What can be seen of a cluster's hosts, as values that travel as JSON. What is None was not seen.

An empty text says that something is well, any other one why it is not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterd.model import Cluster
from clusterd.overview import Overview
from clusterd.reports import Report


class Link(Report):
    """A network interface: whether it is up, whether it has a carrier, and its addresses with their prefixes."""

    name: str
    up: bool
    carrier: bool
    addresses: tuple[str, ...] = ()


class ServerFacts(Report):
    """One real server behind one virtual server, as one host sees it.

    `answers` is a connection to its port; `way` one that begins at the router's public address, so that the answer
    takes the real server's default route. The rest is what the real server itself says by ssh.
    """

    seen_by: str = ""
    answers: str | None = None
    way: str | None = None
    load: str | None = None
    ssh: str | None = None
    default_routes: tuple[str, ...] | None = None  # gateways, "" for a route without one
    public: Mapping[str, bool] | None = None  # which hosts of the public network answer it
    links: Mapping[str, tuple[str, ...]] | None = None  # addresses by interface
    sysctls: Mapping[str, str] = {}
    clock_offset_s: float | None = None


class HostFacts(Report):
    """A router's host. `settings` are those below /proc/sys/net; of programs it is the line that tells their version.

    `peers` says by router and address whether that one answered, `clocks` by member of etcd how much later it is there
    than here.
    """

    links: tuple[Link, ...] | None = None
    settings: Mapping[str, str] = {}
    ipvs: str | None = None
    modules: Mapping[str, bool | None] = {}
    programs: Mapping[str, str] = {}
    peers: Mapping[str, Mapping[str, str | None]] = {}
    clocks: Mapping[str, float | None] = {}
    servers: Mapping[str, ServerFacts] = {}  # by virtual server and real server, web/rs1
    unseen: tuple[str, ...] = ()  # what could not be seen, and why


class MemberFacts(Report):
    """A member of etcd. `problem` says why it does not answer, `unhealthy` why it cannot be used."""

    endpoint: str
    problem: str = ""
    unhealthy: str = ""
    name: str = ""
    version: str = ""
    leader: bool = False
    listed: int = 0  # how many members it knows
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was seen. `cluster` and `view` are None where nobody told them.

    `hosts` has the routers that told of themselves, `silent` says why others did not.
    """

    cluster: Cluster | None = None
    view: Overview | None = None
    members: tuple[MemberFacts, ...] = ()
    login: bool = False
    hosts: Mapping[str, HostFacts] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)
    servers: Mapping[str, ServerFacts] = field(default_factory=dict)
    clocks: Mapping[str, float | None] = field(default_factory=dict)  # as the host sees them on which this runs


def host_facts(value: bytes) -> HostFacts:
    """Return what a router tells of its host; nothing but that where it cannot be read."""
    try:
        return HostFacts.model_validate(json.loads(value))
    except (ValueError, RecursionError):
        return HostFacts(unseen=("what it tells cannot be read",))
