"""The command ``clusterd``: one subcommand a file, each loaded only when it is used.

Commands talk to people: what they print is facts on stdout, problems and questions on stderr. What they do is done by
the library; nothing is decided here that the library could decide.
"""

from typing import Any

import click

from clusterd import __version__
from clusterd.commands.exits import Commands
from clusterd.commands.session import Session, json_option

_COMMANDS = {
    "init": "clusterd.commands.init:init",
    "edit": "clusterd.commands.edit:edit",
    "apply": "clusterd.commands.apply:apply",
    "set": "clusterd.commands.set:set_values",
    "drain": "clusterd.commands.drain:drain",
    "disable": "clusterd.commands.drain:disable",
    "enable": "clusterd.commands.drain:enable",
    "confirm": "clusterd.commands.confirm:confirm",
    "adopt": "clusterd.commands.adopt:adopt",
    "status": "clusterd.commands.status:status",
    "plan": "clusterd.commands.plan:plan",
    "explain": "clusterd.commands.explain:explain",
    "events": "clusterd.commands.events:events",
    "top": "clusterd.commands.top:top",
    "doctor": "clusterd.commands.doctor:doctor",
    "switchover": "clusterd.commands.switchover:switchover",
    "pause": "clusterd.commands.pause:pause",
    "resume": "clusterd.commands.pause:resume",
    "show": "clusterd.commands.show:show",
    "validate": "clusterd.commands.validate:validate",
    "import": "clusterd.commands.import_:import_file",
    "render": "clusterd.commands.render:render",
    "schema": "clusterd.commands.schema:schema",
    "log": "clusterd.commands.log:log",
    "show-commit": "clusterd.commands.show_commit:show_commit",
    "diff": "clusterd.commands.diff:diff",
    "blame": "clusterd.commands.blame:blame",
    "rollback": "clusterd.commands.rollback:rollback",
    "audit": "clusterd.commands.audit:audit",
    "console": "clusterd.commands.console:console",
    "auth": "clusterd.commands.auth:auth",
}


@click.group(
    cls=Commands,
    commands_at=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 invalid input, 2 usage, 3 somebody else committed first, 4 etcd did not answer, "
    "5 refused as unsafe, 6 not applied everywhere in time, 130 stopped.",
)
@click.version_option(__version__, prog_name="clusterd")
@click.option("--cluster", metavar="NAME", help="Which cluster; main by default.")
@click.option("--endpoints", metavar="URL,URL", help="The members of etcd; http://127.0.0.1:2379 by default.")
@click.option("--cacert", metavar="FILE", help="CA certificate that etcd's is verified with.")
@click.option("--cert", metavar="FILE", help="Client certificate for etcd.")
@click.option("--key", metavar="FILE", help="Key of the client certificate.")
@click.option("--user", metavar="USER", help="User of etcd.")
@click.option("--password-file", metavar="FILE", help="File with the user's password.")
@json_option
@click.pass_context
def main(context: click.Context, /, **flags: Any) -> None:
    """Manage a Linux Virtual Server cluster, whose configuration is in etcd.

    Settings are read from /etc/clusterd/clusterd.toml, then from CLUSTERD_... variables, then from these options.
    """
    context.ensure_object(Session).flags = flags
