"""`python -m watchers router`, `… agent`, `… undoer`: the services by name."""

import sys

import click

from watchers.agent import main as agent
from watchers.service import main as router
from watchers.undoing_service import main as undoer


@click.group()
def main() -> None:
    """Run one of clusterd's services."""


main.add_command(agent, "agent")
main.add_command(router, "router")
main.add_command(undoer, "undoer")

if __name__ == "__main__":
    sys.exit(main())
