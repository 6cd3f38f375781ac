"""How commands end: every error becomes one exit code and a few words on stderr, here and nowhere else."""

import dataclasses
import importlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from clusterd.collecting import collecting_seldom
from clusterd.errors import (
    ClusterdError,
    Compacted,
    ConfigError,
    ConflictError,
    StoreError,
    StoreUnavailable,
    Uncertain,
    UnsafeChange,
)

STOPPED = 130  # as shells tell of Ctrl-C
_UNTOLD = 1  # there is nowhere to print to
_CLOSED = 141  # as shells tell of SIGPIPE
_ADVICE = "nothing was written; --endpoints, CLUSTERD_ENDPOINTS or /etc/clusterd/clusterd.toml say where etcd is"


class NotApplied(ClusterdError):
    """Committed, but not applied by every live router in time."""


class Unwell(ClusterdError):
    """Something that was looked at is not as it has to be."""


class Unseen(ClusterdError):
    """Nothing wrong was found, but not everything could be looked at."""


class Stopped(ClusterdError):
    """The person at the terminal stopped it."""


_CODES: tuple[tuple[type[ClusterdError], int], ...] = (
    (ConfigError, 1),
    (ConflictError, 3),
    (StoreUnavailable, 4),
    (Uncertain, 4),
    (Compacted, 4),
    (StoreError, 4),
    (UnsafeChange, 5),
    (Unwell, 1),
    (NotApplied, 6),
    (Unseen, 6),
    (Stopped, STOPPED),
)


def exit_code(error: ClusterdError) -> int:
    """Return the exit code of a command that ends with this error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)


class Commands(click.Group):
    """A group of commands that are loaded when they are needed; `commands_at` says where each one is."""

    def __init__(self, *args: Any, commands_at: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._commands_at = dict(commands_at or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order in which they were given."""
        return list(self._commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, None where there is none of that name."""
        place = self._commands_at.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; where it fails, say why and end with the code for it."""
        if sys.stdout is None:  # as Python has it when the shell closed it
            click.echo("nothing was done: stdout is closed", err=True)
            ctx.exit(_UNTOLD)
        try:
            with collecting_seldom():
                result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except ClusterdError as error:
            _tell(error, as_json=getattr(ctx.obj, "json", False))
            ctx.exit(exit_code(error))
        except click.UsageError as error:
            if not getattr(ctx.obj, "json", False):
                raise
            _tell_json(error.format_message(), error.exit_code, [])
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("\nstopped", err=True)
            ctx.exit(STOPPED)
        except BrokenPipeError:
            _forget_output()
            ctx.exit(_CLOSED)
        except OSError as error:
            if error.filename is not None:
                raise
            click.echo(f"cannot write: {error.strerror or error}; `clusterd log` shows what is committed", err=True)
            _forget_output()
            ctx.exit(_UNTOLD)


def _tell(error: ClusterdError, as_json: bool) -> None:
    if as_json:
        problems = error.problems if isinstance(error, ConfigError) else ()
        _tell_json(str(error), exit_code(error), [dataclasses.asdict(problem) for problem in problems])
        return
    click.echo(str(error), err=True)
    if isinstance(error, StoreUnavailable):
        click.echo(_ADVICE, err=True)


def _tell_json(message: str, code: int, problems: Sequence[Mapping[str, Any]]) -> None:
    told = {"error": {"exit_code": code, "message": message, "problems": problems}}
    click.echo(json.dumps(told, indent=2, ensure_ascii=False), err=True)


def _forget_output() -> None:
    """Let what is still buffered go nowhere, since nobody can read it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
