"""Reads ldirectord.cf (ldirectord(8)) as a Cluster. Pure: no name is looked up.

`grammar` knows the directives, `syntax` the lines and the sections of virtual servers, `mapping` what they mean as a
document, `checks` how a virtual server's directives become a check.
"""

from clusterd.ldirectord.mapping import fill
from clusterd.ldirectord.syntax import sections
from clusterd.reading import Draft, Reading, decoded, settle_forwarding


def read(text: str | bytes, interface: str | None = None) -> Reading:
    """Read a whole ldirectord.cf; `interface` carries the addresses. Raises ConfigError with every problem."""
    made = Draft()
    text, made.warnings = decoded(text)
    fill(made, sections(text, made), interface)
    settle_forwarding(made, "nat")
    return made.reading()
