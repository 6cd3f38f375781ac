"""`python -m watchers router`: the services by name."""

import sys

import click

from watchers.service import main as router


@click.group()
def main() -> None:
    """Run one of clusterd's services."""


main.add_command(router, "router")

if __name__ == "__main__":
    sys.exit(main())
