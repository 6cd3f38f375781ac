"""What every command shares: the options given before it, the settings, and the way to etcd."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from clusterd.configuration import Committed
    from clusterd.errors import ConfigError
    from clusterd.keys import Keys
    from clusterd.settings import Settings
    from clusterd.store.contract import Store

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclasses.dataclass(slots=True)
class Session:
    """One call of the command."""

    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    json: bool = False

    def settings(self) -> "Settings":
        """Return the settings; a wrong one is a usage error."""
        from clusterd import settings  # here and below: --help and --version should not wait for these
        from clusterd.errors import ConfigError

        try:
            return settings.read(self.flags)
        except ConfigError as error:
            raise click.UsageError(str(error)) from error

    def run(self, work: "Callable[[Store, Keys], Awaitable[T]]") -> T:
        """Do some work on a connection to etcd of its own."""
        from clusterd.errors import ConfigError
        from clusterd.keys import Keys
        from clusterd.settings import open_store

        settings = self.settings()

        done: list[T] = []  # and not asyncio's result: before 3.12 asyncio spells that out and throws the text away

        async def connected() -> None:
            try:
                store = open_store(settings)
            except ConfigError as error:
                raise click.UsageError(str(error)) from error
            try:
                done.append(await work(store, Keys(settings.cluster)))
            finally:
                await store.close()

        asyncio.run(connected())
        return done[0]

    def committed(self) -> "Committed":
        """Return what is committed; ConfigError where nothing is."""
        found = self.found()
        if found is None:
            raise self.nothing_committed()
        return found

    def nothing_committed(self) -> "ConfigError":
        """Return the error for a cluster that has no configuration."""
        from clusterd.errors import ConfigError, Problem

        name = self.settings().cluster
        return ConfigError([Problem(0, "", f"cluster {name} has no configuration yet: make one with clusterd init")])

    def found(self) -> "Committed | None":
        """Return what is committed, None where nothing ever was."""
        from clusterd import configuration

        return self.run(configuration.read)


def json_option(function: F) -> F:
    """Add --json, which says that facts are to be printed as JSON."""

    def remember(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        session = context.ensure_object(Session)
        session.json = session.json or value

    return click.option("--json", is_flag=True, expose_value=False, callback=remember, help="Print facts as JSON.")(
        function
    )


pass_session = click.make_pass_decorator(Session, ensure=True)
