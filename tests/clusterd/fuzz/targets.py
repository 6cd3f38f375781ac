"""What is fuzzed: everything that reads a text that somebody wrote, with its sample files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from clusterd import document, ipvsadm, keepalived, ldirectord, lvscf
from clusterd.errors import ConfigError
from clusterd.model import Cluster
from tests.clusterd.examples import MANUAL

CORPUS = Path(__file__).parent / "corpus"
LVS_CF = Path(__file__).parents[2] / "renderers" / "manual.lvs.cf"


def sample(name: str) -> bytes:
    """Return a sample file."""
    return (CORPUS / name).read_bytes()


def included(pattern: str, _by: str) -> Sequence[keepalived.Source]:
    """Return the files that the sample of keepalived.conf includes."""
    names = {"conf.d/*.conf": ("virtuals.conf", "mail.conf"), "group.conf": ("group.conf",)}.get(pattern, ())
    return [keepalived.Source(name, sample(f"keepalived/{name}")) for name in names]


def _keepalived(text: bytes) -> Cluster:
    return keepalived.read(text, "eth9", included).cluster


TARGETS: Mapping[str, Callable[[bytes], Cluster]] = {
    "document": document.parse,
    "lvs.cf": lambda text: lvscf.read(text).cluster,
    "keepalived": _keepalived,
    "ldirectord": lambda text: ldirectord.read(text, "eth9").cluster,
    "ipvsadm": lambda text: ipvsadm.read(text, "eth9").cluster,
}


def samples(target: str) -> list[bytes]:
    """Return the sample files of a format."""
    if target == "document":
        return [MANUAL.encode()]
    if target == "lvs.cf":
        return [LVS_CF.read_bytes()]
    return [file.read_bytes() for file in sorted((CORPUS / target).iterdir())]


def run(target: str, text: bytes) -> bool:
    """Read a text. Tell whether it was accepted, and make sure that the document of what was read says the same."""
    try:
        cluster = TARGETS[target](text)
    except ConfigError as error:
        refused = error
    else:
        assert document.parse(document.dump(cluster)) == cluster
        return True
    assert refused.problems
    assert str(refused)
    return False
