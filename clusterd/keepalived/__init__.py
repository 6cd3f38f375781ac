"""Reads keepalived.conf (keepalived.conf(5)) as a Cluster. Pure: no file is opened, no name is looked up.

`text` puts the lines together (comments, parameters, included files), `statements` makes blocks of them, `grammar`
knows the keywords, `vrrp` reads who carries which address where, `virtuals` the virtual servers, `forwarding` how their
packets are scheduled and forwarded, and `checks` how they are checked. Files that the text includes are given by the
caller.
"""

from collections import Counter
from collections.abc import Sequence

from clusterd.document import suggestion
from clusterd.keepalived.forwarding import timeouts
from clusterd.keepalived.grammar import GLOBAL_DEFS, TOP
from clusterd.keepalived.statements import Section, Statement, statements
from clusterd.keepalived.sync import synchronisation
from clusterd.keepalived.text import Include, Source, Text
from clusterd.keepalived.virtuals import Virtuals
from clusterd.keepalived.vrrp import Floating, Instance, carriers, gateways, instance, routers, sync_groups
from clusterd.reading import Draft, Reading, settle_forwarding

__all__ = ["Include", "Source", "read"]


def nothing_included(_pattern: str, _by: str) -> Sequence[Source]:
    """Return no files: for a text that stands alone."""
    return ()


def read(
    text: str | bytes, interface: str | None = None, include: Include = nothing_included, name: str = ""
) -> Reading:
    """Read a whole keepalived.conf. Raises ConfigError with every problem, each with its line.

    `include` answers with the files that a pattern in the file of a name stands for, `name` is that of this one.
    `interface` carries the addresses that no vrrp_instance has.
    """
    made = Draft()
    whole = Text(made, include)
    whole.read(Source(name, text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text))
    top = [each for each in statements(whole.lines, made) if _known(made, each)]
    found = [instance(made, each) for each in top if each.key == "vrrp_instance"]
    sync_groups(made, top, found)
    floating = carriers(made, found)
    made.put(("virtuals",), {})
    virtuals = Virtuals(made, floating, interface, [each for each in top if each.key == "virtual_server_group"])
    for each in top:
        if each.key == "virtual_server":
            virtuals.add(each)
    _surroundings(made, top, found, floating)
    settle_forwarding(made, "nat")
    return made.reading()


def _known(made: Draft, statement: Statement) -> bool:
    """Tell whether a statement of the file itself means something here; where it does not, that is told."""
    if not statement.key:
        return False  # a block of nothing, which is told already
    if statement.key not in TOP:
        message = "unknown keyword" + suggestion(statement.key, TOP)
        made.wrong(statement.place.line, statement.place.where(statement.key), message)
        return False
    why = TOP[statement.key]
    if why:
        made.warn(statement.place.line, statement.place.where(statement.key), f"not carried over: {why}")
    return not why


def _surroundings(
    made: Draft, top: Sequence[Statement], found: Sequence[Instance], floating: dict[str, Floating]
) -> None:
    """Put what is around the virtual servers into the document: this router and its peers, and the gateway."""
    named = ""
    for each in top:
        if each.key == "global_defs":
            section = Section(made, "global_defs", each, GLOBAL_DEFS)
            named = section.value("router_id", str, named)
            synchronisation(section, found)
            timeouts(section)
    vips = (virtual["address"] for virtual in made.data["virtuals"].values() if "address" in virtual)
    used = Counter(vip.partition("/")[0] for vip in vips)
    inside = gateways(made, floating, set(used))
    routers(made, found, inside, named)
