"""Where the console listens, and whose address counts."""

from ipaddress import ip_network

import pytest

from clusterd.errors import ConfigError
from watchers.web.addresses import Listen, client, listen, neighbourhood, trusted

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1"))


@pytest.mark.parametrize(
    ("said", "meant", "loopback"),
    [
        ("127.0.0.1:8480", Listen("127.0.0.1", 8480), True),
        ("[::1]:1", Listen("::1", 1), True),
        ("0.0.0.0:8480", Listen("0.0.0.0", 8480), False),
        ("[::]:8480", Listen("::", 8480), False),
        ("192.0.2.1:65535", Listen("192.0.2.1", 65535), False),
    ],
)
def test_an_address_and_a_port_are_where_it_listens(said: str, meant: Listen, loopback: bool) -> None:
    assert (listen(said), listen(said).loopback) == (meant, loopback)


@pytest.mark.parametrize("said", ["", "80", "localhost:80", "127.0.0.1", "127.0.0.1:65536", "::1:80", "[127.0.0.1]:80"])
def test_anything_else_is_told(said: str) -> None:
    with pytest.raises(ConfigError, match="an address and a port"):
        listen(said)


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # no proxy of ours: its header is not believed
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),  # what the client itself wrote before
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),  # two proxies
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("", "198.51.100.7", ""),
    ],
)
def test_who_asks_is_the_last_that_a_trusted_proxy_names(peer: str, forwarded: str, who: str) -> None:
    assert client(peer, forwarded, PROXIES) == who


def test_only_the_named_networks_are_trusted() -> None:
    assert [trusted(peer, PROXIES) for peer in ("10.1.2.3", "11.0.0.1", "::1", "", "unix")] == [
        True,
        False,
        True,
        False,
        False,
    ]


def test_attempts_are_counted_by_address_or_by_network_of_ipv6() -> None:
    assert neighbourhood("192.0.2.1") == "192.0.2.1"
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::2") == "2001:db8::/64"
    assert neighbourhood("") == ""
