"""Small lvs.cf files for the tests, and what comes of reading them."""

from pathlib import Path

import pytest

from clusterd import lvscf
from clusterd.errors import ConfigError
from clusterd.model import Server, Virtual

EXAMPLE = (Path(__file__).parents[1] / "renderers" / "manual.lvs.cf").read_text()


def in_virtual(*lines: str, port: int | None = 81) -> str:
    """Return a file with one virtual server; what is added begins in line 3."""
    ports = [f"port = {port}"] if port else []
    return "\n".join(["virtual web {", "address = 1.2.3.1 eth0:1", *lines, *ports, "}"])


def in_server(*lines: str) -> str:
    """Return a file with one real server; what is added begins in line 5."""
    return in_virtual("server rs1 {", "address = 10.0.0.1", *lines, "}")


def web(*lines: str, port: int | None = 81) -> Virtual:
    return lvscf.read(in_virtual(*lines, port=port)).cluster.virtuals["web"]


def rs1(*lines: str) -> Server:
    return lvscf.read(in_server(*lines)).cluster.virtuals["web"].servers["rs1"]


def wrong(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        lvscf.read(text)
    return [str(problem) for problem in caught.value.problems]


def warned(text: str | bytes) -> list[str]:
    return [str(warning) for warning in lvscf.read(text).warnings]
