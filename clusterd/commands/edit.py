"""clusterd edit: the document in an editor, again and again until it is valid or given up."""

from collections.abc import Callable

import click

from clusterd.commands.draft import Draft
from clusterd.commands.places import excerpt, with_excerpt
from clusterd.commands.proposal import EditCommand, Manner, edit_options, propose, wait
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import at_terminal, printable
from clusterd.errors import ConfigError
from clusterd.model import Cluster

MOST_ROUNDS = 10  # without a terminal, for an editor that never gets it right


@click.command(cls=EditCommand, short_help="Edit it in $EDITOR.")
@click.argument("path", metavar="[OBJECT]", default="")
@edit_options
@pass_session
def edit(session: Session, path: str, manner: Manner) -> None:
    """Edit the configuration, or one OBJECT of it such as virtuals/web, in $VISUAL or $EDITOR.

    The text is checked, what would change is shown, and all of it is one commit. A text that is not committed is kept.
    """
    manner.check_answerable()
    base = session.committed()
    original = excerpt(base.cluster, path)
    with Draft(session.settings().cluster, original) as draft:
        cluster = _valid(draft, original, lambda text: with_excerpt(base.cluster, path, text))
        if cluster is None:
            cluster = base.cluster
        done = propose(session, base, cluster, manner)
        draft.settled = done is not None
    wait(session, done, manner)


def _valid(draft: Draft, original: str, read: Callable[[str], Cluster]) -> Cluster | None:
    """Return what the person's text says once it is valid, None when it is as it was; ConfigError when given up."""
    text = draft.edited()
    before, rounds = None, 1
    while text != original:
        try:
            return read(text)
        except ConfigError as error:
            if not _goes_on(error, text == before or rounds >= MOST_ROUNDS):
                raise
            before, rounds = text, rounds + 1
            text = draft.edited(error.problems)
    return None


def _goes_on(error: ConfigError, pointless: bool) -> bool:
    """Tell whether the text is to be edited again; without a terminal as long as that changes anything."""
    if not at_terminal():
        return not pointless
    for problem in error.problems:
        click.echo(printable(str(problem)), err=True)
    return click.confirm("this is not valid; edit again?", default=True, err=True)
