"""clusterd render: the configuration as text for another program."""

from collections.abc import Callable, Mapping

import click

from clusterd import document
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import once, printable, read_input, warn
from clusterd.errors import wrong
from clusterd.model import Cluster
from renderers import ipvsadm, keepalived, lvscf, nftables
from renderers.rendering import Rendering

# Each takes the cluster, the number of its commit and the router that the text is for, if one was named.
FORMATS: Mapping[str, Callable[[Cluster, int, str | None], Rendering]] = {
    "lvs.cf": lambda cluster, number, router: lvscf.render(cluster, number),
    "keepalived": lambda cluster, number, router: keepalived.render(cluster, router),
    "ipvsadm": lambda cluster, number, router: ipvsadm.render(cluster),
    "nftables": lambda cluster, number, router: nftables.render(cluster),
}


@click.command(short_help="Write another program's format.")
@click.argument("target", metavar="FORMAT", type=click.Choice(list(FORMATS)))
@click.option("-f", "--file", metavar="FILE", help="This document instead of what is committed; - is stdin.")
@click.option(
    "--router", metavar="NAME", help="The router that a keepalived.conf is for; by default of the highest priority."
)
@pass_session
def render(session: Session, target: str, file: str | None, router: str | None) -> None:
    """Print the committed configuration in another program's FORMAT.

    \b
    lvs.cf      Piranha's file
    keepalived  keepalived.conf of one router: addresses, services and checks
    ipvsadm     input for ipvsadm -R: the table while every enabled server is up
    nftables    ruleset for nft -f: masquerading, marks, protection

    What the format cannot say is told on stderr.

    Example: clusterd render keepalived --router r2 > keepalived.conf
    """
    if router is not None and target != "keepalived":
        raise click.UsageError(f"--router is for keepalived: {target} is the same for every router")
    if file is None:
        committed = session.committed()
        cluster, number = committed.cluster, committed.number
    else:
        cluster, number = document.parse(read_input(file)), 1
    if router is not None and router not in cluster.routers:
        raise wrong(f"routers/{router}", "is not there" + document.suggestion(router, cluster.routers))
    rendering = FORMATS[target](cluster, number, router)
    for warning in once(rendering.warnings):
        warn(printable(warning))
    click.echo(rendering.text, nl=False)
