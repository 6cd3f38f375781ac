"""clusterd render: the configuration as text for another program."""

from collections.abc import Callable, Mapping

import click

from clusterd import document
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import once, printable, read_input, warn
from clusterd.errors import wrong
from clusterd.model import Cluster
from clusterd.places import steps
from renderers import ipvsadm, keepalived, lvscf, nftables, real_server
from renderers.rendering import Rendering

# Each takes the cluster, the number of its commit and the router that the text is for, if one was named.
FORMATS: Mapping[str, Callable[[Cluster, int, str | None], Rendering]] = {
    "lvs.cf": lambda cluster, number, router: lvscf.render(cluster, number),
    "keepalived": lambda cluster, number, router: keepalived.render(cluster, router),
    "ipvsadm": lambda cluster, number, router: ipvsadm.render(cluster),
    "nftables": lambda cluster, number, router: nftables.render(cluster),
}
REAL_SERVER = "real-server"  # is for one host, and has to be told which


@click.command(short_help="Write another program's format.")
@click.argument("target", metavar="FORMAT", type=click.Choice([*FORMATS, REAL_SERVER]))
@click.argument("place", metavar="[VIRTUAL/SERVER]", required=False)
@click.option("-f", "--file", metavar="FILE", help="This document instead of what is committed; - is stdin.")
@click.option(
    "--router", metavar="NAME", help="The router that a keepalived.conf is for; by default of the highest priority."
)
@pass_session
def render(session: Session, target: str, place: str | None, file: str | None, router: str | None) -> None:
    """Print the committed configuration in another program's FORMAT.

    \b
    lvs.cf      Piranha's file
    keepalived  keepalived.conf of one router: addresses, services and checks
    ipvsadm     input for ipvsadm -R: the table while every enabled server is up
    nftables    ruleset for nft -f: masquerading, marks, protection
    real-server shell script for one real server's host: default route, or VIP and quiet ARP

    What the format cannot say is told on stderr.

    \b
    clusterd render keepalived --router r2 > keepalived.conf
    clusterd render real-server web/rs1 | ssh root@rs1 sh
    """
    if (target == REAL_SERVER) != (place is not None):
        raise click.UsageError(f"{REAL_SERVER} and no other format is for one VIRTUAL/SERVER, such as web/rs1")
    if router is not None and target != "keepalived":
        raise click.UsageError(f"--router is for keepalived: {target} is the same for every router")
    if file is None:
        committed = session.committed()
        cluster, number = committed.cluster, committed.number
    else:
        cluster, number = document.parse(read_input(file)), 1
    if router is not None and router not in cluster.routers:
        raise wrong(f"routers/{router}", "is not there" + document.suggestion(router, cluster.routers))
    if place is None:
        rendering = FORMATS[target](cluster, number, router)
    else:
        rendering = real_server.render(cluster, *_named(cluster, place))
    for warning in once(rendering.warnings):
        warn(printable(warning))
    click.echo(rendering.text, nl=False)


def _named(cluster: Cluster, place: str) -> tuple[str, str]:
    """Return a virtual server and one of its real servers. Raises ConfigError where they are not there."""
    match steps(place):
        case (virtual, server) | ("virtuals", virtual, "servers", server):
            pass
        case _:
            raise click.UsageError(f"write VIRTUAL/SERVER, such as web/rs1, not {place!r}")
    if virtual not in cluster.virtuals:
        raise wrong(f"virtuals/{virtual}", "is not there" + document.suggestion(virtual, cluster.virtuals))
    servers = cluster.virtuals[virtual].servers
    if server not in servers:
        raise wrong(f"virtuals/{virtual}/servers/{server}", "is not there" + document.suggestion(server, servers))
    return virtual, server
