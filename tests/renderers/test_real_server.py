"""What a real server needs, as a script for its shell."""

import subprocess

import pytest
from click.testing import CliRunner

from clusterd.commands import main
from clusterd.document import parse
from renderers.real_server import render
from tests.clusterd.examples import MANUAL


def script(text: str, virtual: str = "web", server: str = "rs1") -> list[str]:
    """Return the commands of the script, which a shell understands."""
    made = render(parse(text), virtual, server).text
    assert subprocess.run(["sh", "-n"], input=made, text=True, check=False, capture_output=True).stderr == ""
    return [line for line in made.splitlines() if line and not line.startswith("#")]


def forwarded(way: str) -> str:
    return MANUAL.replace("port: 80", f"port: 80\n    forwarding: {way}")


def test_by_nat_it_needs_the_gateway_as_its_default_route() -> None:
    assert script(MANUAL) == ["set -e", "ip -4 route replace default via 192.168.1.254"]


def test_by_direct_routing_it_needs_the_vip_and_to_be_quiet_about_it_first() -> None:
    assert script(forwarded("direct")) == [
        "set -e",
        "sysctl -w net.ipv4.conf.all.arp_ignore=1",
        "sysctl -w net.ipv4.conf.all.arp_announce=2",
        "ip address replace 1.2.3.1/32 dev lo",
    ]


@pytest.mark.parametrize(
    ("tunnel", "device", "module"), [("{type: ipip}", "tunl0", "ipip"), ("{type: gre}", "gre0", "ip_gre")]
)
def test_by_a_tunnel_it_needs_the_tunnels_interface_and_no_strict_rp_filter(
    tunnel: str, device: str, module: str
) -> None:
    made = script(forwarded(f"tunnel\n    tunnel: {tunnel}"))
    assert made[3:] == [
        f"modprobe -a {module}",
        f"ip link set {device} up",
        "sysctl -w net.ipv4.conf.all.rp_filter=0",
        f"sysctl -w net.ipv4.conf.{device}.rp_filter=0",
        f"ip address replace 1.2.3.1/32 dev {device}",
    ]


def test_gue_is_taken_at_its_port() -> None:
    made = script(forwarded("tunnel\n    tunnel: {type: gue, port: 6080}"))
    assert "modprobe -a ipip fou" in made
    assert "ip fou show | grep -q 'port 6080 gue *$' || ip fou add port 6080 gue" in made


@pytest.mark.parametrize(
    ("vip", "server", "kind", "commands"),
    [
        ("1.2.3.1/24", "fd00::2", "ipip", ["modprobe -a ip6_tunnel", "ip -6 tunnel change ip6tnl0 mode any"]),
        ("2001:db8::1/64", "192.168.1.1", "ipip", ["modprobe -a sit", "ip link set sit0 up"]),
        ("2001:db8::1/64", "192.168.1.1", "gre", ["modprobe -a ip_gre", "ip link set gre0 up"]),
        ("1.2.3.1/24", "fd00::2", "gre", ["modprobe -a ip6_gre", "ip link set ip6gre0 up"]),
        ("2001:db8::1/64", "fd00::2", "gue, port: 6080", ["modprobe -a ip6_tunnel fou", "ip link set ip6tnl0 up"]),
        ("2001:db8::1/64", "192.168.1.1", "gue, port: 6080", ["modprobe -a sit fou", "ip link set sit0 up"]),
    ],
)
def test_the_tunnels_interface_is_one_that_takes_the_vips_family_in_that_of_the_real_server(
    vip: str, server: str, kind: str, commands: list[str]
) -> None:
    made = script(
        f"virtuals: {{web: {{address: '{vip}', interface: eth0, port: 80, forwarding: tunnel, "
        f"tunnel: {{type: {kind}}}, servers: {{rs1: {{address: '{server}'}}}}}}}}"
    )
    assert [line for line in made if line in commands] == commands
    assert any(line.endswith("gue -6") for line in made) is ("gue" in kind and ":" in server)


def test_of_ipv6_no_arp_is_to_be_kept_quiet() -> None:
    text = (
        "cluster: {nat_router6: {address: 'fe80::1/64', interface: eth1}}\nvirtuals: {six: {address: 'fd00::1/64', "
        "interface: eth0, port: 80, forwarding: WAY, servers: {rs1: {address: 'fd00::2'}}}}"
    )
    assert script(text.replace("WAY", "nat"), "six") == ["set -e", "ip -6 route replace default via fe80::1"]
    assert script(text.replace("WAY", "direct"), "six") == ["set -e", "ip address replace fd00::1/128 dev lo"]
    assert script(text.replace("WAY", "tunnel"), "six")[1:3] == ["modprobe -a ip6_tunnel", "ip link set ip6tnl0 up"]


def test_what_the_document_does_not_say_is_told() -> None:
    bare = MANUAL.replace("  nat_router: {address: 192.168.1.254/24, interface: eth1}\n", "")
    assert [str(one) for one in render(parse(bare), "web", "rs1").warnings] == [
        "cluster/nat_router: there is no floating gateway: the default route is not known"
    ]
    marked = "{mark: 7, check: {type: tcp, port: 80}, forwarding: direct, servers: {rs1: {address: 192.168.1.1}}}"
    told = render(parse(f"virtuals: {{m: {marked}}}"), "m", "rs1")
    assert [one.path for one in told.warnings] == ["virtuals/m/address"]
    assert "ip address" not in told.text


# --- the command ----------------------------------------------------------------------------------------------------


def rendered(*arguments: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(main, ["render", *arguments, "-f", "-"], input=MANUAL)
    return ended.exit_code, ended.stdout, ended.stderr


@pytest.mark.parametrize("place", ["web/rs1", "virtuals/web/servers/rs1"])
def test_the_command_is_told_which_real_server(place: str) -> None:
    code, out, err = rendered("real-server", place)
    assert (code, err) == (0, "")
    assert out == render(parse(MANUAL), "web", "rs1").text


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("real-server",), 2, "for one VIRTUAL/SERVER"),
        (("ipvsadm", "web/rs1"), 2, "for one VIRTUAL/SERVER"),
        (("real-server", "web"), 2, "write VIRTUAL/SERVER"),
        (("real-server", "wbe/rs1"), 1, "virtuals/wbe: is not there; did you mean web?"),
        (("real-server", "web/rs"), 1, "virtuals/web/servers/rs: is not there; did you mean rs"),
    ],
)
def test_a_place_that_is_none_is_told(arguments: tuple[str, ...], code: int, told: str) -> None:
    ended, out, err = rendered(*arguments)
    assert (ended, out) == (code, "")
    assert told in err
