"""Writes the manual pages of clusterd's programs into a folder, from what the programs say of themselves.

    python packaging/manual_pages.py FOLDER

One page for each program that the installed package has: clusterd(1), with a section for each subcommand, and the
services in section 8.
"""

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

FILES = """\
.SH FILES
.TP
.I /etc/clusterd/clusterd.toml
settings; each is also a variable CLUSTERD_NAME
.TP
.I /usr/share/doc/clusterd/
documentation: how it works, every key of the document, checks, weights, deployment
"""


def escaped(text: str) -> str:
    """Return a text so that roff prints it as it is."""
    plain = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\\&\1", plain, flags=re.MULTILINE)


def shown(command: click.Command, name: str) -> str:
    """Return a command's help as a block that roff leaves alone."""
    with click.Context(command, info_name=name, max_content_width=76, terminal_width=76) as context:
        return f".nf\n{escaped(command.get_help(context))}\n.fi\n"


def subcommands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every subcommand with its whole name, the ones below it included."""
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for word in command.list_commands(context):
            found = command.get_command(context, word)
            if found is not None and not found.hidden:
                yield f"{name} {word}", found
                yield from subcommands(found, f"{name} {word}")


def page(command: click.Command, name: str, section: int, version: str) -> str:
    """Return the manual page of a program."""
    summary = command.get_short_help_str(70).rstrip(".")
    parts = [
        f'.TH {name.upper()} {section} "" "clusterd {version}"\n.SH NAME\n{name} \\- {escaped(summary)}\n',
        f".SH DESCRIPTION\n{shown(command, name)}",
    ]
    parts += [f'.SH "{whole.upper()}"\n{shown(found, whole)}' for whole, found in subcommands(command, name)]
    return "".join(parts) + FILES


def main(folder: Path) -> None:
    """Write the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    package = importlib.metadata.distribution("clusterd")
    for program in package.entry_points.select(group="console_scripts"):
        section = 1 if program.name == "clusterd" else 8
        text = page(program.load(), program.name, section, package.version)
        (folder / f"{program.name}.{section}").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
