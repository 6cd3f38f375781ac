"""clusterd edit: the document in an editor, again and again until it is committed or given up."""

import dataclasses
from dataclasses import dataclass

import click

from clusterd.commands.draft import Draft
from clusterd.commands.forms import FORMS, Form
from clusterd.commands.proposal import EditCommand, Manner, edit_options, pursue, wait
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import at_terminal, printable
from clusterd.configuration import Committed
from clusterd.errors import ConfigError, Problem
from clusterd.merging import Overtaken, wished
from clusterd.model import Cluster

MOST_ROUNDS = 10  # without a terminal, for an editor that never gets it right
NOT_VALID = "This is not valid yet; correct it, or leave it as it is to give up."
OVERTAKEN = "Somebody else committed what contradicts this, which is yours; what you leave here decides."


@click.command(cls=EditCommand, short_help="Edit it in $EDITOR.")
@click.argument("path", metavar="[OBJECT]", default="")
@click.option(
    "--format", "form", type=click.Choice(list(FORMS)), default="yaml", show_default=True, help="What to edit it as."
)
@edit_options
@pass_session
def edit(session: Session, path: str, form: str, manner: Manner) -> None:
    """Edit the configuration, or one OBJECT of it such as virtuals/web, in $VISUAL or $EDITOR.

    The text is checked, what would change is shown, and all of it is one commit. A text that is not committed is
    kept. What somebody else commits meanwhile is merged with it; where both changed the same, the editor opens again.

    As lvs.cf, what that format cannot say stays as it is.

    \b
    clusterd edit virtuals/web -m "more for rs1"
    clusterd edit --format lvs.cf
    """
    manner.check_answerable()
    base = session.committed()
    shown = FORMS[form](base, path)
    with Draft(session.settings().cluster, shown.text, shown.suffix) as draft:
        done = _Editing(session, base, draft, shown, manner).committed()
        draft.settled = done is not None
    wait(session, done, manner)


@dataclass(frozen=True, slots=True)
class _Editing:
    """One person's edit, with all that it takes."""

    session: Session
    base: Committed
    draft: Draft
    form: Form
    manner: Manner

    def committed(self) -> Committed | None:
        """Return what is committed when the person is done, None after a dry run."""
        mine = self._valid(self.draft.edited())
        overtaken: Overtaken | None = None
        rounds = 1
        while True:
            try:
                wish = overtaken.retyped(mine) if overtaken else wished(self.base, mine)
                return pursue(self.session, wish, self.manner)
            except Overtaken as error:
                if rounds >= MOST_ROUNDS and not at_terminal():
                    raise
                mine, overtaken, rounds = self._again(error), error, rounds + 1

    def _again(self, error: Overtaken) -> Cluster:
        """Return what the person's text says after they saw that it was overtaken; the error itself when given up."""
        if not _goes_on(str(error), "edit again?"):
            raise error
        before = self.draft.text()
        text = self.draft.edited([self._located(problem, before) for problem in error.problems], OVERTAKEN)
        if text == before and not at_terminal():
            raise error
        return self._valid(text)

    def _valid(self, text: str) -> Cluster:
        """Return what the person's text says once it is valid; ConfigError when given up."""
        before, rounds = None, 1
        while text != self.form.text:
            try:
                return self.form.read(text)
            except ConfigError as error:
                pointless = text == before or rounds >= MOST_ROUNDS
                if (pointless and not at_terminal()) or not _goes_on(str(error), "this is not valid; edit again?"):
                    raise
                before, rounds = text, rounds + 1
                text = self.draft.edited(error.problems, NOT_VALID)
        return self.base.cluster

    def _located(self, problem: Problem, text: str) -> Problem:
        """Return a problem with the line of the text that it is about, as far as that can be told."""
        return dataclasses.replace(problem, line=self.form.line(text, problem.path))


def _goes_on(told: str, question: str) -> bool:
    """Tell whether the text is to be edited again; nobody is asked without a terminal."""
    if not at_terminal():
        return True
    for line in told.splitlines():
        click.echo(printable(line), err=True)
    return click.confirm(question, default=True, err=True)
