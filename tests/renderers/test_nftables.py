"""The ruleset: nft reads it, and loads from it what the router writes."""

import json
import subprocess
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

from clusterd import desired, document
from clusterd.dataplane import ruleset
from clusterd.model import Cluster
from clusterd.netfilter import Netfilter
from clusterd.plane import Verb
from renderers.nftables import render
from tests.clusterd.examples import manual
from tests.strategies import clusters

EXAMPLE = (Path(__file__).parent / "manual.nft").read_text()
FOREIGN = "table inet clusterd { set x { type ipv4_addr; }; }\ntable ip other { }\n"


def nft(folder: Path, *steps: str, **files: str) -> str:
    """Return what nft says when it takes these steps in a network namespace of its own."""
    for name, text in files.items():
        (folder / name).write_text(text)
    script = " && ".join(f"nft {step}" for step in steps)
    command = ["unshare", "--net", "sh", "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def written(cluster: Cluster) -> str:
    """Return the commands, as JSON, by which a router makes its table."""
    found = desired.netfilter(cluster)
    verb = Verb.ADD if found else Verb.DELETE
    return json.dumps({"nftables": ruleset.encode(verb, found[0] if found else Netfilter(()))})


def masquerading(*rules: dict[str, Any]) -> Cluster:
    return document.from_data({"cluster": {"masquerade": list(rules)}})


RICH = masquerading(
    *({"source": source, "interface": "bond0.17"} for source in ("192.168.1.7", "10.0.0.0/8", "0.0.0.0/0")),
    {"source": "10.0.0.0/8", "interface": "-._"},
)


def test_the_manuals_example_is_rendered_as_it_always_was() -> None:
    rendering = render(manual())
    assert rendering.text == EXAMPLE
    assert rendering.warnings == ()


def test_nft_accepts_the_manuals_example(tmp_path: Path) -> None:
    assert nft(tmp_path, "-c -f rules", rules=EXAMPLE) == ""


def test_what_nft_loads_is_what_the_router_writes(tmp_path: Path) -> None:
    for cluster in (manual(), RICH, Cluster()):
        before = ("-f foreign",)
        loaded = nft(tmp_path, *before, "-f rules", "list ruleset", foreign=FOREIGN, rules=render(cluster).text)
        router = nft(tmp_path, *before, "-j -f rules", "list ruleset", foreign=FOREIGN, rules=written(cluster))
        assert loaded == router
        assert "table ip other" in loaded
        assert "set x" not in loaded


def test_what_nft_lists_is_what_was_rendered(tmp_path: Path) -> None:
    for cluster in (manual(), RICH):
        text = render(cluster).text
        assert text.endswith("delete table ip clusterd\n" + nft(tmp_path, "-f rules", "list ruleset", rules=text))


@given(clusters())
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_every_cluster_loads_as_what_the_router_writes(tmp_path: Path, given: Cluster) -> None:
    loaded = nft(tmp_path, "-f rules", "list ruleset", rules=render(given).text)
    assert loaded == nft(tmp_path, "-j -f rules", "list ruleset", rules=written(given))


@given(clusters())
@settings(max_examples=100)
def test_every_cluster_renders_the_same_each_time_with_one_rule_a_network(given: Cluster) -> None:
    rendering = render(given)
    assert rendering == render(given)
    assert rendering.text.count(" oifname ") == len(given.settings.masquerade)


def test_a_host_stands_without_its_prefix() -> None:
    text = render(masquerading({"source": str(IPv4Network("10.0.0.1/32")), "interface": "eth0"})).text
    assert 'ip saddr 10.0.0.1 oifname "eth0" masquerade\n' in text
