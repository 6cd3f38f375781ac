"""What lvs_sync_daemon says: over which interface and how routers tell each other about connections."""

from collections.abc import Sequence
from typing import Any

from clusterd.keepalived.statements import Section
from clusterd.keepalived.vrrp import Instance
from clusterd.reading import number

_NUMBERS = ("id", "maxlen", "port", "ttl")


def synchronisation(section: Section, found: Sequence[Instance]) -> None:
    """Put the daemon into the document. Without an id it is the virtual_router_id of the instance that it follows."""
    statement = section.last("lvs_sync_daemon")
    if statement is None:
        return
    rest, said = list(statement.words[1:]), dict[str, Any]()
    if not rest:
        section.wrong(statement, "a value is missing")
        return
    said["interface"] = rest.pop(0)
    names = {each.name: each for each in found}
    while rest:
        word = rest.pop(0)
        if word in (*_NUMBERS, "group", "inst") and not rest:
            section.wrong(statement, f"{word}: a value is missing")
        elif word in _NUMBERS:
            said |= _number(section, word, rest.pop(0))
        elif word == "group":
            said["group"] = rest.pop(0)
        else:
            name = rest.pop(0) if word == "inst" else word
            if name not in names:
                section.warn(statement, f"{name} is not carried over: there is no vrrp_instance of this name")
            elif router_id := names[name].section.last("virtual_router_id"):
                said = {"id": int(router_id.words[-1])} | said if router_id.words[-1].isdecimal() else said
    at = ("cluster", "sync")
    section.made.origins[at] = (statement.place.line, section.where(statement))
    section.made.put(at, said)


def _number(section: Section, word: str, value: str) -> dict[str, int]:
    try:
        return {word: number(value)}
    except ValueError as error:
        section.wrong(section.all("lvs_sync_daemon")[-1], f"{word}: {error}")
        return {}
