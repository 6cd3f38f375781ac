"""`python -m watchers router`, `… agent`, `… undoer`, `… web`: the services by name, each loaded when it is used."""

import importlib
import sys
from collections.abc import Mapping

import click

SERVICES: Mapping[str, str] = {
    "agent": "watchers.agent",
    "router": "watchers.service",
    "undoer": "watchers.undoing_service",
    "web": "watchers.web.service",
}


class Services(click.Group):
    """The services."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(SERVICES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one of them, None where there is none of that name."""
        if cmd_name not in SERVICES:
            return None
        command: click.Command = importlib.import_module(SERVICES[cmd_name]).main
        return command


@click.command(cls=Services)
def main() -> None:
    """Run one of clusterd's services."""


if __name__ == "__main__":
    sys.exit(main())
