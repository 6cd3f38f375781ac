"""clusterd audit: whether the history is whole."""

import click
from pydantic import ValidationError

from clusterd import configuration
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json
from clusterd.errors import ConfigError, Problem
from clusterd.history import Head, broken_links
from clusterd.keys import Keys
from clusterd.store.contract import Store


@click.group(short_help="Check the history.")
def audit() -> None:
    """Check the history.

    \b
    clusterd audit verify
    """


@audit.command()
@json_option
@pass_session
def verify(session: Session) -> None:
    """Check that each commit's record is there and as it was written; name those that are not.

    Each record carries the hash of the one before, and the head that of the last one: whoever alters a record has to
    alter all that follow. Ends with exit code 1 where something is wrong.

    \b
    clusterd audit verify
    """
    number, findings = session.run(_looked_at)
    if session.json:
        echo_json({"whole": not findings, "commits": number, "findings": findings})
    if findings:
        raise ConfigError([Problem(0, "", finding) for finding in findings])
    if not session.json:
        click.echo(f"the history is whole: {number} commit{'s' if number > 1 else ''}")


async def _looked_at(store: Store, keys: Keys) -> tuple[int, list[str]]:
    """Return the number of the last commit, and what is wrong."""
    entry = await store.get(keys.head)
    if entry is None:
        raise ConfigError([Problem(0, keys.head, "is not there: nothing is committed, or somebody removed it")])
    try:
        head = Head.model_validate_json(entry.value)
    except ValidationError:
        return 0, [f"{keys.head}: not a head that clusterd wrote"]
    try:
        return head.number, list(broken_links(await configuration.records(store, keys), head))
    except ConfigError:
        return head.number, await _unreadable(store, keys, head.number)


async def _unreadable(store: Store, keys: Keys, last: int) -> list[str]:
    """Return what is wrong with each record that cannot be read."""
    found: list[str] = []
    for number in range(1, last + 1):
        try:
            await configuration.record(store, keys, number)
        except ConfigError as error:
            found += [f"record {number} was altered: {problem}" for problem in error.problems]
    return found
