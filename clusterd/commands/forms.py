"""The formats in which the configuration is edited: its text, and how the edited text is read back.

What lvs.cf cannot say is not lost: its text is read as it was and as it is now, and only the difference between these
two readings goes into the document.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clusterd import document, lvscf
from clusterd.configuration import Committed
from clusterd.errors import wrong
from clusterd.lvscf.mapping import PRIORITIES
from clusterd.merge import merge
from clusterd.model import Cluster, Timing
from clusterd.places import excerpt, with_excerpt

_HEADER = "# The configuration as lvs.cf. What this format cannot say stays as it is.\n"


@dataclass(frozen=True, slots=True)
class Form:
    """What the editor shows. `read` raises ConfigError, with the lines of the text that it is given."""

    text: str
    suffix: str
    read: Callable[[str], Cluster]
    line: Callable[[str, str], int]  # of a path in a text that was read; 0 where that cannot be told


def _yaml(base: Committed, path: str) -> Form:
    text = excerpt(base.cluster, path)
    return Form(text, ".yaml", lambda edited: with_excerpt(base.cluster, path, edited), _line_in_yaml)


def _line_in_yaml(text: str, path: str) -> int:
    lines = document.parse_yaml(text)[1]
    steps = path.split("/")
    return next((lines[place] for end in range(len(steps), 0, -1) if (place := tuple(steps[:end])) in lines), 0)


def _lvs_cf(base: Committed, path: str) -> Form:
    from renderers import lvscf as renderer  # jinja2 is slow to load, and needed here only

    if path:
        raise wrong(path, "lvs.cf is edited as a whole; as YAML one object can be edited alone")
    _, _, rest = renderer.render(base.cluster, base.number).text.partition("\n")
    text = _HEADER + rest
    before = lvscf.read(text).cluster

    def read(edited: str) -> Cluster:
        return with_lvs_cf(base.cluster, before, lvscf.read(edited).cluster)

    return Form(text, ".cf", read, lambda edited, path: 0)


def with_lvs_cf(cluster: Cluster, before: Cluster, after: Cluster) -> Cluster:
    """Return the cluster with what changed between two readings of it as lvs.cf.

    Where the first reading was not what the cluster has, a change in the second one counts. Raises ConfigError where
    the result is not valid.
    """
    names = _router_names(cluster)
    old, new, whole = _view(before, names), _view(after, names), _data(cluster)
    if cluster.settings.masquerade != before.settings.masquerade:
        new["cluster"]["masquerade"] = old["cluster"]["masquerade"]  # it does not follow the interfaces of the VIPs
    for name in {*old["virtuals"]} & {*new["virtuals"]}:
        was, becomes = (_kind(side["virtuals"][name]["check"]) for side in (old, new))
        if was != becomes:
            check = whole["virtuals"][name]["check"]
            whole["virtuals"][name]["check"] = was | {key: check[key] for key in Timing.model_fields}
    return document.from_data(merge(old, new, whole).data)


def _router_names(cluster: Cluster) -> dict[str, str]:
    """Return what the routers of lvs.cf are called in the document, a new one too."""
    ranked = sorted(cluster.routers, key=lambda name: -cluster.routers[name].priority)
    roles = list(PRIORITIES)
    free = [role for role in [*roles[len(ranked) :], *roles] if role not in ranked]
    return dict(zip(roles, [*ranked, *free], strict=False))


def _data(cluster: Cluster) -> dict[str, Any]:
    return cluster.model_dump(mode="json", by_alias=True)


def _view(reading: Cluster, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a reading with the names that the routers have in the document."""
    data = _data(reading)
    data["routers"] = {names.get(role, role): router for role, router in data["routers"].items()}
    return data


def _kind(check: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a check does, without how often."""
    return {key: value for key, value in check.items() if key not in Timing.model_fields}


FORMS: Mapping[str, Callable[[Committed, str], Form]] = {"yaml": _yaml, "lvs.cf": _lvs_cf}
