"""What a router and its load reader tell each other: one JSON object a line.

    router → reader   LoadAssignment   everything that is to be asked, sent whole whenever it changes
    reader → router   LoadReport       what one question gave: a reading, or why there is none

Times on the line are CLOCK_BOOTTIME, which all processes of a host share.
"""

from clusterd.loads.asked import Asked
from clusterd.model import AnyPort, Cluster, Host, Load, Value, checked_port
from clusterd.weights import Reading
from watchers.prober_messages import Identity

ASKED = ("ssh", "http", "rup", "ruptime")


class LoadTarget(Value):
    """One real server to ask."""

    virtual: str
    server: str
    address: Host
    port: AnyPort
    load: Load

    @property
    def identity(self) -> Identity:
        """Return what it is known by."""
        return self.virtual, self.server

    @property
    def asked(self) -> Asked:
        """Return it as sources take it."""
        return Asked(str(self.address), self.port, self.load)


class LoadAssignment(Value):
    """Everything that is to be asked from now on."""

    targets: tuple[LoadTarget, ...]


class LoadReport(Value):
    """What a question gave. Without a reading `silence` says why."""

    virtual: str
    server: str
    reading: Reading | None = None
    silence: str = ""


def load_targets(cluster: Cluster) -> tuple[LoadTarget, ...]:
    """Return every enabled real server whose virtual server has its load asked for."""
    return tuple(
        LoadTarget(
            virtual=name,
            server=label,
            address=server.address,
            port=checked_port(virtual, server),
            load=virtual.load,
        )
        for name, virtual in cluster.virtuals.items()
        if asked(cluster, name)
        for label, server in virtual.servers.items()
        if server.enabled
    )


def asked(cluster: Cluster, name: str) -> bool:
    """Return whether there is a virtual server of this name whose real servers have their load asked for."""
    virtual = cluster.virtuals.get(name)
    return virtual is not None and virtual.enabled and virtual.load.source in ASKED
