"""clusterd import: another program's configuration as a document."""

import glob
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from clusterd import document, ipvsadm, keepalived, ldirectord, lvscf
from clusterd.commands.proposal import EditCommand, Manner, carry_out, edit_options
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import printable, read_input, warn
from clusterd.errors import ConfigError, Problem
from clusterd.model import Cluster
from clusterd.reading import Reading

Reader = Callable[[bytes, str | None, str], Reading]  # the text, --interface, and the name of the file
COMMITS = ("dry_run", "yes", "message", "force", "confirmed", "wait")  # options that say how to commit

EXAMPLES = """\b
Examples:
  clusterd import lvs.cf /etc/sysconfig/ha/lvs.cf > cluster.yaml
  clusterd import keepalived /etc/keepalived/keepalived.conf > cluster.yaml
  clusterd import ldirectord /etc/ha.d/ldirectord.cf --interface eth0 > cluster.yaml
  ipvsadm -Sn | clusterd import ipvsadm - --interface eth0 --apply -m "from the old routers"
"""


def _lvs_cf(text: bytes, interface: str | None, _file: str) -> Reading:
    if interface is not None:
        raise click.UsageError("lvs.cf says itself which interfaces carry the addresses: leave --interface out")
    return lvscf.read(text)


def _keepalived(text: bytes, interface: str | None, file: str) -> Reading:
    return keepalived.read(text, interface, _included, file)


FORMATS: Mapping[str, Reader] = {
    "lvs.cf": _lvs_cf,
    "keepalived": _keepalived,
    "ldirectord": lambda text, interface, _file: ldirectord.read(text, interface),
    "ipvsadm": lambda text, interface, _file: ipvsadm.read(text, interface),
}


def _known(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value not in FORMATS:
        raise click.BadParameter(f"{value!r} is no format that can be imported{document.suggestion(value, FORMATS)}")
    return value


def _begin_like(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in FORMATS if name.startswith(incomplete)]


@click.command(cls=EditCommand, name="import", short_help="Read another program's format.", epilog=EXAMPLES)
@click.argument("source", metavar="FORMAT", callback=_known, shell_complete=_begin_like)
@click.argument("file", metavar="FILE", type=click.Path(allow_dash=True))
@click.option("--interface", metavar="IF", help="What carries the addresses whose interface FILE does not say.")
@click.option("--apply", "commits", is_flag=True, help="Commit it, in the place of what is committed.")
@edit_options
@pass_session
def import_file(session: Session, source: str, file: str, interface: str | None, commits: bool, manner: Manner) -> None:
    """Turn FILE (- is stdin), which is in another program's FORMAT, into a document on stdout.

    FORMAT is lvs.cf, keepalived, ldirectord or ipvsadm (what ipvsadm -Sn prints; it needs --interface). What cannot be
    carried over, and what is made up, is told on stderr, by line.
    """
    if commits:
        manner.check_answerable()
    else:
        _refuse_commit_options()
    reading = FORMATS[source](read_input(file), interface, file)
    for warning in reading.warnings:
        warn(printable(str(warning)))
    _check_told(reading.cluster)
    if commits:
        carry_out(session, session.found(), reading.cluster, manner)
    else:
        click.echo(document.dump(reading.cluster), nl=False)


def _refuse_commit_options() -> None:
    """Raise a usage error where an option says how to commit, and nothing is to be committed."""
    context = click.get_current_context()
    said = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in COMMITS and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if said:
        raise click.UsageError(f"{', '.join(said)}: this belongs to --apply")


def _check_told(cluster: Cluster) -> None:
    """Raise ConfigError where a file told nothing: applied, it would clear the cluster."""
    if not cluster.virtuals and not cluster.routers:
        raise ConfigError([Problem(0, "", "nothing in this file: no virtual server, no router")])


def _included(pattern: str, by: str) -> Sequence[keepalived.Source]:
    """Return the files that a pattern in a file stands for, relative to that file as keepalived has it."""
    folder = Path() if by == "-" else Path(by).parent
    names = glob.glob(str(folder / pattern))  # noqa: PTH207 # Path.glob takes no absolute patterns
    return [_source(os.path.normpath(name)) for name in sorted(names)]


def _source(name: str) -> keepalived.Source:
    try:
        if not Path(name).is_file():
            return keepalived.Source(name, unreadable="it is not a file")
        return keepalived.Source(name, Path(name).read_bytes())
    except OSError as error:
        return keepalived.Source(name, unreadable=str(error.strerror))
