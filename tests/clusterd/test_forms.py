"""Editing as lvs.cf: what that format cannot say is not lost."""

from typing import Any

import pytest
from hypothesis import given

from clusterd import lvscf
from clusterd.commands.forms import with_lvs_cf
from clusterd.document import from_data
from clusterd.model import Cluster
from renderers.lvscf import render
from tests import strategies
from tests.clusterd.examples import manual

SPECIAL: dict[str, Any] = {
    "cluster": {
        "nat_router": {"address": "192.168.1.254/24", "interface": "eth1"},
        "masquerade": [{"source": "192.168.0.0/16", "interface": "eth0"}],
        "heartbeat": {"keepalive_s": 0.5},
        "brakes": {"servers": 0.2},
    },
    "routers": {"r1": {"public": "1.2.3.2", "priority": 7}, "r2": {"public": "1.2.3.3", "priority": 6}},
    "virtuals": {
        "web": {
            "address": "1.2.3.1/24",
            "interface": "eth0",
            "port": 80,
            "scheduler": "mh",
            "check": {"type": "http", "path": "/up", "fall": 4},
            "servers": {"rs1": {"address": "192.168.1.1", "weight": 3, "drain": True}},
        }
    },
}


def edited(cluster: Cluster, *replaced: tuple[str, str]) -> Cluster:
    """Return what comes of an edit of the cluster as lvs.cf."""
    text = render(cluster, 1).text
    before = lvscf.read(text).cluster
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    return with_lvs_cf(cluster, before, lvscf.read(text).cluster)


def plain(cluster: Cluster) -> Any:
    return cluster.model_dump(mode="json", by_alias=True)


def with_values(values: dict[str, Any]) -> Any:
    data = plain(from_data(SPECIAL))
    for path, value in values.items():
        *around, last = path.split("/")
        here = data
        for step in around:
            here = here[step]
        here[last] = value
    return data


@given(strategies.clusters())
def test_a_text_that_nobody_touched_changes_nothing(cluster: Cluster) -> None:
    assert edited(cluster) == cluster


@pytest.mark.parametrize(
    ("old", "new", "values"),
    [
        ("scheduler = wlc", "scheduler = rr", {"virtuals/web/scheduler": "rr"}),
        ("weight = 0", "weight = 5", {"virtuals/web/servers/rs1/weight": 5}),
        ("timeout = 2", "timeout = 4", {"virtuals/web/check/interval_s": 4.0, "virtuals/web/check/timeout_s": 4.0}),
        ("reentry = 0", "reentry = 9", {"virtuals/web/check/reentry_s": 9.0}),
        ("primary = 1.2.3.2", "primary = 1.2.3.9", {"routers/r1/public": "1.2.3.9"}),
        ("1.2.3.1 eth0:1", "1.2.3.1 eth5:1", {"virtuals/web/interface": "eth5"}),
        ("keepalive = 1", "keepalive = 1\ndebug_level = NONE", {}),
    ],
)
def test_only_what_was_changed_changes(old: str, new: str, values: dict[str, Any]) -> None:
    assert plain(edited(from_data(SPECIAL), (old, new))) == with_values(values)


def test_another_text_to_send_or_expect_makes_another_check_with_the_same_counts() -> None:
    after = edited(from_data(SPECIAL), ("\tuse_regex = 1\n", ""), ("expect = ", 'expect = "HTTP"\n\t# '))
    check = after.virtuals["web"].check.model_dump()
    wanted = {
        "type": "send_expect",
        "send": r"GET /up HTTP/1.0\r\n\r\n",
        "expect": "HTTP",
        "regex": False,
        "interval_s": 2.0,
        "timeout_s": 1.0,
        "fall": 4,
        "rise": 2,
        "reentry_s": 0.0,
    }
    assert check.items() >= wanted.items()


def test_masquerading_that_follows_the_gateway_goes_on_to_follow_it() -> None:
    after = edited(manual(), ("192.168.1.254", "192.168.2.254"))
    assert [str(each.source) for each in after.settings.masquerade] == ["192.168.2.0/24"]


def test_a_router_that_is_taken_out_of_the_text_is_gone() -> None:
    after = edited(manual(), ("backup_active = 1", "backup_active = 0"))
    assert list(after.routers) == ["r1"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], ["primary", "backup"]), (["r1"], ["backup", "r1"]), (["backup"], ["backup", "primary"])],
)
def test_a_new_router_has_a_name_of_its_own(names: list[str], expected: list[str]) -> None:
    cluster = from_data({"routers": {name: {"public": "1.2.3.2"} for name in names}})
    lines = "primary = 1.2.3.2\nbackup_active = 1\nbackup = 1.2.3.3\nheartbeat = 1\n"
    active = "backup_active = 0\n" if names else "service = lvs\nrsh_command = ssh\nbackup_active = 0\n"
    after = edited(cluster, (active, lines.partition("\n")[2] if names else "service = lvs\n" + lines))
    assert sorted(after.routers) == sorted(expected)
