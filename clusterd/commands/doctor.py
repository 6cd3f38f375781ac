"""clusterd doctor: every prerequisite, checked: here, on the routers, and on the real servers."""

import dataclasses
from collections.abc import Sequence

import click

from clusterd.commands.exits import Unseen, Unwell
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, some
from clusterd.doctor import CHECKS, Facts, Finding, examined
from clusterd.errors import ClusterdError
from clusterd.keys import Keys
from clusterd.store.contract import Store


@click.command(short_help="Check every prerequisite, and say how to mend what is wrong.")
@click.option("--checks", is_flag=True, help="List the checks instead: what each looks at, and how to mend it.")
@json_option
@pass_session
def doctor(session: Session, checks: bool) -> None:
    """Check etcd, the routers' hosts, the ways between them and the real servers, and say how to mend what is wrong.

    Routers look at their own hosts and at the real servers when this asks them through etcd; a host whose router
    service does not run is looked at where this command runs. What could not be seen is unknown, not ok.

    Ends with exit code 0 where no check failed and all was seen, with 1 where one failed, 6 where something could not
    be seen, and 4 where etcd does not answer. Warnings change nothing.

    \b
    clusterd doctor
    clusterd doctor --json
    """
    if checks:
        _show_checks(session)
        return
    from clusterd.examination import whole  # gRPC, netlink and ssh take a while to load

    seen: list[Facts] = []
    down: list[ClusterdError] = []

    async def work(store: Store, _: Keys) -> None:
        facts, error = await whole(session.settings(), store)
        seen.append(facts)
        down.extend([error] if error else [])

    session.run(work)
    found = examined(seen[0])
    _show(session, found)
    if down:
        raise down[0]
    if seen[0].cluster is None:
        raise session.nothing_committed()
    _end(found)


def _end(found: Sequence[Finding]) -> None:
    """Raise what the exit code follows from."""
    wrong = [one for one in found if one.verdict == "fail"]
    if wrong:
        raise Unwell(f"failed: {some([f'{one.check} of {one.place}' for one in wrong])}")
    unseen = [one for one in found if one.verdict == "unknown"]
    if unseen:
        raise Unseen(f"not seen: {some([f'{one.check} of {one.place}' for one in unseen])}")


def _show(session: Session, found: Sequence[Finding]) -> None:
    if session.json:
        echo_json([dataclasses.asdict(one) for one in found])
        return
    from clusterd.commands.doctor_tables import drawn
    from clusterd.commands.tables import show  # rich takes a while to load

    show(drawn(found))


def _show_checks(session: Session) -> None:
    if session.json:
        echo_json({name: dataclasses.asdict(check) for name, check in CHECKS.items()})
        return
    from clusterd.commands.doctor_tables import listed
    from clusterd.commands.tables import show

    show(listed())
