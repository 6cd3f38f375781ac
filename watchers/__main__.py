"""`python -m watchers router`, `python -m watchers agent`: the services by name."""

import sys

import click

from watchers.agent import main as agent
from watchers.service import main as router


@click.group()
def main() -> None:
    """Run one of clusterd's services."""


main.add_command(agent, "agent")
main.add_command(router, "router")

if __name__ == "__main__":
    sys.exit(main())
