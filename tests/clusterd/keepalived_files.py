"""Short keepalived.conf files for tests."""

from collections.abc import Mapping, Sequence

import pytest

from clusterd import keepalived
from clusterd.errors import ConfigError
from clusterd.model import Virtual
from clusterd.reading import Reading


def read(
    *lines: str, interface: str | None = "eth0", files: Mapping[str, str | Sequence[str]] | None = None
) -> Reading:
    """Read lines; `files` are those that can be included, by pattern: a text, or the reason why there is none."""

    def include(pattern: str, _by: str) -> list[keepalived.Source]:
        found = (files or {}).get(pattern)
        if found is None:
            return []
        if isinstance(found, str):
            return [keepalived.Source(pattern, found.encode())]
        return [keepalived.Source(pattern, unreadable=found[0])]

    return keepalived.read("\n".join(lines), interface, include, "keepalived.conf")


def virtual(*lines: str, head: str = "1.2.3.1 80") -> tuple[str, ...]:
    """Return a file with one virtual server; what is added begins in line 2."""
    return (
        f"virtual_server {head} {{",
        *lines,
        *([] if any(x.startswith("protocol") for x in lines) else ["protocol TCP"]),
        "}",
    )


def web(*lines: str, head: str = "1.2.3.1 80") -> Virtual:
    (found,) = read(*virtual(*lines, head=head)).cluster.virtuals.values()
    return found


def group(*lines: str) -> tuple[str, ...]:
    """Return a file with a group of virtual servers; what is added begins in line 5."""
    return (*virtual(head="group G"), "virtual_server_group G {", *lines, "}")


def checked(*lines: str, head: str = "1.2.3.1 80") -> tuple[str, ...]:
    """Return a file with one real server; what is added begins in line 3."""
    return virtual("real_server 10.0.0.1 80 {", *lines, "}", head=head)


def instance(*lines: str, name: str = "VI") -> tuple[str, ...]:
    """Return a file with one vrrp_instance; what is added begins in line 3."""
    return (f"vrrp_instance {name} {{", "interface eth7", *lines, "}")


def warned(*lines: str, **more: Mapping[str, str | Sequence[str]]) -> list[str]:
    """Return the warnings, but not that the address is put on --interface and that there is no check."""
    usual = ("it is put on eth0", "has no check: clusterd connects to it with TCP")
    told = [str(warning) for warning in read(*lines, files=more.get("files")).warnings]
    return [each for each in told if not each.endswith(usual)]


def wrong(
    *lines: str, interface: str | None = "eth0", files: Mapping[str, str | Sequence[str]] | None = None
) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(*lines, interface=interface, files=files)
    return [str(problem) for problem in caught.value.problems]
