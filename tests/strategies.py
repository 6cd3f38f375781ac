"""Hypothesis strategies for valid configurations. Every cluster that `clusters()` makes obeys `clusterd.rules`."""

from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Interface
from typing import Any

from hypothesis import strategies as st

from clusterd import document
from clusterd.lvscf import masquerades
from clusterd.model import (
    Brakes,
    Check,
    Cluster,
    DnsCheck,
    ExecCheck,
    Forwarding,
    HttpCheck,
    HttpsCheck,
    IcmpCheck,
    Load,
    Masquerade,
    Notify,
    Page,
    Reachability,
    RedisCheck,
    SendExpectCheck,
    SmtpCheck,
    Sync,
    TcpCheck,
    UdpCheck,
    Virtual,
)

WAYS: tuple[Forwarding, ...] = ("nat", "direct", "tunnel")
FLAGS = ("sh-port", "sh-fallback", "mh-port", "mh-fallback")
GROUPS = ("shop", "mail")
INTERFACES = ("eth0", "eth1", "bond0.17", "lan-a")
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos")
LETTERS = st.characters(exclude_categories=["Cs"])
LINE_LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\\'\"", max_codepoint=0x2FF)
PATTERNS = st.sampled_from(["*", "^HTTP/1.[01] (200|301)", r"\d+ [a-z]*$", "ok", "^$"])

COMMANDS: st.SearchStrategy[list[str]] = st.just([]) | st.lists(
    st.text(LINE_LETTERS.filter(lambda c: c.isprintable()), max_size=8), max_size=2
).map(lambda arguments: ["/bin/told", *arguments])

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(
        ["yes", "no", "on", "null", "~", "", "1", "1e3", ".5", "12:30", "0x1", " a", "a: b", "#", "-", "\n"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), inner, max_size=3)
    ),
    max_leaves=12,
)  # what YAML and JSON give


@cache
def names() -> st.SearchStrategy[str]:
    """Names of routers, virtual servers and real servers, among them ones that YAML could take for something else."""
    odd = st.sampled_from(
        ["1", "on", "no", "null", "true", "1e3", "0x10", "12", "1.2.3.4", "Web", "a--b..c_", "z" * 63]
    )
    return odd | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)


@cache
def seconds() -> st.SearchStrategy[float]:
    """Durations as a document may have them."""
    return st.integers(1, 86400).map(float) | st.floats(0.001, 86400)


@cache
def addresses(network: str, prefix: bool = False) -> st.SearchStrategy[str]:
    """Addresses `network`.x.y, with a prefix length on demand; different networks never meet."""
    plain = st.integers(1, 65000).map(lambda n: f"{network}.{n >> 8}.{n & 255}")
    if not prefix:
        return plain
    return st.builds(lambda ip, bits: f"{ip}/{bits}", plain, st.integers(1, 32)).filter(_of_a_host)


def _of_a_host(address: str) -> bool:
    """Tell whether this is neither its network's own address nor the broadcast one."""
    network = IPv4Interface(address).network
    ends = (network.network_address, network.broadcast_address)
    return network.prefixlen > 30 or IPv4Interface(address).ip not in ends


def sixth(address: str) -> str:
    """Return an IPv6 address, with a prefix length where there is one, that goes with this IPv4 address alone."""
    ip, slash, bits = address.partition("/")
    return f"2001:db8::{ip}" + (f"/{96 + int(bits)}" if slash else "")


@cache
def _timing() -> dict[str, st.SearchStrategy[Any]]:
    count = st.integers(1, 1000)
    return {
        "interval_s": seconds(),
        "timeout_s": seconds(),
        "fall": count,
        "rise": count,
        "reentry_s": st.just(0.0) | seconds(),
        "recheck_s": st.none() | seconds(),
        "jitter": st.just(1.0) | st.floats(0, 1),
        "initial": st.sampled_from(["unknown", "down", "up"]),
        "port": st.none() | st.integers(1, 65535),
    }


@cache
def _pages() -> dict[str, st.SearchStrategy[Any]]:
    code = st.integers(100, 599)
    ranges = st.tuples(code, code).map(lambda pair: f"{min(pair)}-{max(pair)}")
    return {
        "path": st.from_regex(r"/[!-~]{0,30}", fullmatch=True),
        "host": st.none() | st.from_regex(r"[a-z0-9.]{1,20}", fullmatch=True),
        "status": st.lists(code | ranges, min_size=1, max_size=3).map(tuple),
        "body": st.none() | PATTERNS.filter(lambda pattern: pattern != "*"),
        "digest": st.none() | st.sampled_from(["md5:" + 32 * "a", "sha256:" + 64 * "0"]),
    }


@cache
def checks() -> st.SearchStrategy[Check]:
    """Checks of every type."""
    text = st.none() | st.text(LETTERS, max_size=40)
    also = st.lists(st.builds(Page, **_pages()), max_size=2).map(tuple)
    headers = st.sampled_from([{}, {"X-Probe": "a b"}])
    name = st.none() | st.just("www.example.org")
    tls = {"server_name": name, "verify": st.booleans(), "ca_file": st.none() | st.just("/etc/ca.pem")}
    pages = {**_pages(), **_timing(), "also": also, "headers": headers, "method": st.sampled_from(["GET", "POST"])}
    program = st.lists(st.text(LINE_LETTERS.filter(lambda c: c.isprintable()), max_size=8), max_size=2)
    plain = [
        st.builds(kind, type=st.just(word), **_timing())
        for word, kind in (("tcp", TcpCheck), ("icmp", IcmpCheck), ("dns", DnsCheck), ("redis", RedisCheck))
    ]
    return st.one_of(
        *plain,
        st.builds(HttpCheck, type=st.just("http"), **pages),
        st.builds(HttpsCheck, type=st.just("https"), **pages, **tls),
        st.builds(SendExpectCheck, type=st.just("send_expect"), send=text, expect=text, **_timing()),
        st.builds(SendExpectCheck, type=st.just("send_expect"), expect=PATTERNS, regex=st.just(True), **_timing()),
        st.builds(
            ExecCheck,
            type=st.just("exec"),
            command=program.map(lambda words: ("/bin/ok", *words)),
            expect=st.none() | PATTERNS,
            regex=st.booleans(),
            **_timing(),
        ),
        st.builds(UdpCheck, type=st.just("udp"), send=st.just("") | st.text(LETTERS, max_size=9), **_timing()),
        st.builds(SmtpCheck, type=st.just("smtp"), starttls=st.booleans(), **tls, **_timing()),
    )


def _keys(required: Mapping[str, Any], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(dict(required), optional=optional)


def _distinct(values: st.SearchStrategy[Any], key: str, most: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, max_size=most, unique_by=lambda value: value[key])


@st.composite
def _named(draw: st.DrawFn, values: st.SearchStrategy[list[Any]], most: int) -> dict[str, Any]:
    made = draw(values)
    labels = draw(st.lists(names(), min_size=most, max_size=most, unique=True))
    return dict(zip(labels, made, strict=False))


@cache
def _tunnels() -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(
        [
            {"type": "ipip"},
            {"type": "gre"},
            {"type": "gre", "checksum": "csum"},
            {"type": "gue", "port": 6080},
            {"type": "gue", "port": 1, "checksum": "remcsum"},
        ]
    )


@cache
def _servers() -> st.SearchStrategy[dict[str, Any]]:
    server = _keys(
        {"address": addresses("10.5")},
        port=st.integers(1, 65535),
        weight=st.integers(0, 65535),
        enabled=st.booleans(),
        drain=st.booleans(),
        forwarding=st.sampled_from(WAYS),
        tunnel=_tunnels(),
        upper_threshold=st.integers(50, 65535),
        lower_threshold=st.integers(0, 50),
    )
    return _named(_distinct(server, "address", 4), 4)


@cache
def _virtuals() -> st.SearchStrategy[dict[str, Any]]:
    persistence = _keys({}, timeout_s=st.integers(1, 2678400), prefix=st.integers(1, 32), engine=st.just("sip"))
    virtual = _keys(
        {"address": addresses("10.4", prefix=True), "interface": st.sampled_from(INTERFACES)},
        port=st.integers(0, 65535),
        protocol=st.sampled_from(["tcp", "udp", "sctp"]),
        flags=st.lists(st.sampled_from(FLAGS), unique=True),
        one_packet=st.booleans(),
        mark=st.sampled_from([1, 2, 3]),
        ports=st.sampled_from([[80], [80, 443, "8000-8010"]]),
        tunnel=_tunnels(),
        scheduler=st.sampled_from(SCHEDULERS),
        forwarding=st.sampled_from(WAYS),
        persistence=persistence,
        group=st.sampled_from(["default", *GROUPS]),
        enabled=st.booleans(),
        quiesce=st.booleans(),
        sorry_server=addresses("10.6"),
        check=checks().map(lambda check: check.model_dump()),
        load=_keys(
            {"source": st.sampled_from(["none", "ssh", "rup", "ruptime", "agent", "http"])},
            controller=st.sampled_from(["smooth", "piranha"]),
        ),
        slow_start=_keys({"duration_s": st.floats(0.1, 600)}, curve=st.sampled_from(["linear", "doubling"])),
        drain_deadline_s=st.floats(1, 3600),
        quorum=st.integers(2, 100),
        hysteresis=st.integers(0, 1),
        fail_open=st.floats(0, 1),
        verdicts=st.sampled_from(["active", "any", "quorum"]),
        down_quorum=st.integers(1, 5),
        servers=_servers(),
    ).map(lambda data: _fitting({"port": 80, "quorum": 2, **data}))
    return _named(st.lists(virtual, max_size=3, unique_by=lambda v: v["address"].split("/")[0]), 3)


def _fitting(virtual: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a virtual server what does not fit the rest of it."""
    mark = virtual.get("mark")
    if mark:
        del virtual["port"]
    elif not virtual["port"] and "persistence" not in virtual:
        virtual["port"] = 80
    if not mark:
        virtual.pop("ports", None)
    if virtual.get("protocol") != "udp":
        virtual.pop("one_packet", None)
        virtual.get("persistence", {}).pop("engine", None)
    own = f"{virtual.get('scheduler', 'wlc')}-"
    virtual["flags"] = [flag for flag in virtual.get("flags", ()) if flag.startswith(own)]
    if not virtual.get("port") and not virtual.get("ports"):
        virtual["check"] = {"type": "tcp", **virtual.get("check", {}), "port": 80}
    return virtual


@cache
def _settings() -> st.SearchStrategy[dict[str, Any]]:
    gateway = {"address": addresses("10.3", prefix=True), "interface": st.sampled_from(INTERFACES)}
    masquerade = _keys(
        {"source": st.just("10.3.0.0/16"), "interface": st.sampled_from(INTERFACES)}, address=addresses("10.4")
    )
    gateway6 = gateway | {"address": st.sampled_from(["fe80::fe/64", "2001:db8:3::fe/64"])}
    masquerade6 = _keys({"source": st.just("2001:db8:3::/64"), "interface": st.sampled_from(INTERFACES)})
    beat = st.integers(2, 3600).flatmap(
        lambda lease: _keys(
            {"deadtime_s": st.just(lease), "keepalive_s": st.floats(0.01, lease / 2)},
            fast=_keys({}, interval_ms=st.integers(10, 300), misses=st.integers(2, 6)),
        )
    )
    return _keys(
        {},
        forwarding=st.sampled_from(WAYS),
        nat_router=st.fixed_dictionaries(gateway),
        protect=st.booleans(),
        nat_router6=st.fixed_dictionaries(gateway6),
        masquerade=st.lists(masquerade | masquerade6, max_size=2),
        heartbeat=beat,
        sync=_keys(
            {"interface": st.sampled_from(INTERFACES)},
            id=st.integers(0, 255),
            group=st.sampled_from(["224.0.0.81", "239.1.2.3", "ff02::81"]),
            port=st.integers(1, 65535),
            ttl=st.integers(1, 255),
            maxlen=st.integers(1024, 65487),
            window_s=st.integers(0, 3600).map(float),
        ),
        timeouts=_keys({}, tcp_s=st.integers(1, 2147483), tcpfin_s=st.integers(1, 60), udp_s=st.integers(1, 60)),
        reachability=_keys(
            {},
            hosts=st.lists(addresses("10.7"), max_size=2),
            interval_s=st.integers(1, 10).map(float),
            timeout_s=st.integers(20, 86400).map(float),
        ).map(lambda asked: {"timeout_s": 20.0, **asked}),
        on_store_loss=st.sampled_from(["failsafe", "release", "hold"]),
        preempt_after_s=seconds(),
        brakes=_keys({}, servers=st.floats(0, 1), virtuals=st.floats(0, 1)),
        notify=_keys(
            {},
            active_cmd=COMMANDS,
            inactive_cmd=COMMANDS,
            timeout_s=st.floats(0.01, 300),
            user=st.sampled_from(["nobody", "lvs"]),
        ),
    )


def _group(name: str, routers: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    gateway = {"address": st.just(f"10.7.{GROUPS.index(name)}.254/24"), "interface": st.sampled_from(INTERFACES)}
    known = st.dictionaries(st.sampled_from(routers), st.integers(0, 255)) if routers else st.just({})
    return _keys({}, nat_router=st.fixed_dictionaries(gateway), priorities=known)


def _of_ipv6(virtual: dict[str, Any]) -> None:
    """Make it one of IPv6."""
    virtual["address"] = sixth(virtual["address"])
    for where in (*virtual.get("servers", {}).values(), virtual):
        key = "sorry_server" if where is virtual else "address"
        if key in where:
            where[key] = sixth(where[key])
    if "prefix" in virtual.get("persistence", {}):
        virtual["persistence"]["prefix"] *= 4


@cache
def _routers() -> st.SearchStrategy[dict[str, Any]]:
    router = _keys({"public": addresses("10.1")}, private=addresses("10.2"), priority=st.integers(0, 255))
    return _named(_distinct(router, "public", 3), 3)


@st.composite
def clusters(draw: st.DrawFn, ipv6: bool = True) -> Cluster:
    """Any valid cluster, with IPv4 only on demand."""
    routers = draw(_routers())
    taken = [each.get("private") for each in routers.values()]
    for each in routers.values():
        if taken.count(each.get("private")) > 1:
            each.pop("private", None)
    data = {"cluster": draw(_settings()), "routers": routers, "virtuals": draw(_virtuals())}
    wanted = {name for v in data["virtuals"].values() if (name := v.get("group", "default")) != "default"}
    if wanted:
        data["cluster"]["groups"] = {name: draw(_group(name, [*routers])) for name in sorted(wanted)}
    if not ipv6:
        data["cluster"].pop("nat_router6", None)
    elsewhere = {v["address"].split("/")[0] for v in data["virtuals"].values() if v.get("group", "default") in wanted}
    for masquerade in data["cluster"].get("masquerade", ()):
        if masquerade.get("address") in elsewhere:  # it would move with another group than the gateway
            del masquerade["address"]
    marks: set[int] = set()
    for name, virtual in [*data["virtuals"].items()]:
        if virtual.get("mark") in marks:
            del data["virtuals"][name]
        marks |= {virtual["mark"]} if "mark" in virtual else set()
        usual = virtual.get("forwarding") or data["cluster"].get("forwarding", "nat")
        ways = [server.get("forwarding") or usual for server in virtual.get("servers", {}).values()]
        if "tunnel" not in (usual, *ways):
            virtual.pop("tunnel", None)
        if ipv6 and draw(st.booleans()):
            _of_ipv6(virtual)
        for server in virtual.get("servers", {}).values():
            way = server.get("forwarding") or virtual.get("forwarding") or data["cluster"].get("forwarding", "nat")
            if way != "nat":
                server.pop("port", None)
            if way != "tunnel":
                server.pop("tunnel", None)
            server["upper_threshold"] = server.get("upper_threshold", server.get("lower_threshold", 0))
    _lead(draw, data)
    return document.from_data(data)


def _lead(draw: st.DrawFn, data: dict[str, Any]) -> None:
    """Have the servers of one virtual server checked through the data path, where that can be."""
    for virtual in data["virtuals"].values():
        usual = virtual.get("forwarding") or data["cluster"].get("forwarding", "nat")
        ways = {server.get("forwarding") or usual for server in virtual.get("servers", {}).values()}
        check = virtual.setdefault("check", {"type": "tcp"})
        if "nat" not in ways and check["type"] not in ("icmp", "exec"):
            check["data_path"] = draw(st.booleans())
            return


_UNSAID = ("slow_start", "drain_deadline_s", "quorum", "hysteresis", "fail_open", "verdicts", "down_quorum")


def _nannys(load: Load) -> Load:
    if load.source in ("none", "agent", "http"):
        return Load()
    return Load(source=load.source, controller="piranha", interval_s=20)


def _sayable(virtual: Virtual) -> Virtual:
    servers = {
        name: each.model_copy(
            update={
                "forwarding": None,
                "drain": False,
                "tunnel": None,
                "upper_threshold": 0,
                "lower_threshold": 0,
                "port": None if virtual.mark else each.port,
            }
        )
        for name, each in virtual.servers.items()
    }
    known = virtual.scheduler not in ("sed", "nq", "fo", "ovf", "mh", "twos")
    kept = virtual.persistence and virtual.persistence.model_copy(update={"engine": None})
    return virtual.model_copy(
        update={
            "group": "default",
            "forwarding": None,
            "protocol": "tcp" if virtual.protocol == "sctp" else virtual.protocol,
            "port": virtual.port or (None if virtual.mark else 80),
            "ports": (),
            "flags": (),
            "one_packet": False,
            "tunnel": None,
            "persistence": kept,
            "scheduler": virtual.scheduler if known else "rr",
            "load": _nannys(virtual.load),
            **{name: Virtual.model_fields[name].default for name in _UNSAID},
            "servers": servers,
        }
    )


@st.composite
def lvscf_checks(draw: st.DrawFn, port: int) -> Check:
    """Checks that lvs.cf can say."""
    each_s = float(draw(st.integers(1, 86400)))
    timing = {
        "interval_s": each_s,
        "timeout_s": each_s,
        "fall": 1,
        "rise": 1,
        "reentry_s": float(draw(st.integers(0, 600))),
    }
    text = st.text(LINE_LETTERS, max_size=60) | st.text(st.sampled_from('"a \t\\rn{}#=*'), max_size=20)
    text = text.filter(lambda said: '"' not in said[len(said.replace("\t", " ").split(" ")[0]) :])
    send, expect = draw(st.none() | text), draw(st.none() | text)
    if send is None and expect is None:
        expect = "*" if port == 80 else None
    if send is None and expect is None:
        return TcpCheck.model_validate({"type": "tcp", **timing})
    regex = draw(st.booleans())
    expect = draw(PATTERNS) if regex else expect
    return SendExpectCheck.model_validate(
        {"type": "send_expect", "send": send, "expect": expect, "regex": regex, **timing}
    )


@st.composite
def lvscf_clusters(draw: st.DrawFn) -> Cluster:
    """Clusters that lvs.cf can say in full."""
    cluster = draw(clusters(ipv6=False))
    roles = zip((("primary", 100), ("backup", 50)), cluster.routers.values(), strict=False)
    routers = {name: router.model_copy(update={"priority": priority}) for (name, priority), router in roles}
    deadtime_s = draw(st.integers(2, 3600))
    beat = {"fast": None, "deadtime_s": deadtime_s, "keepalive_s": float(draw(st.integers(1, deadtime_s // 2)))}
    heartbeat = cluster.settings.heartbeat.model_copy(update=beat)
    sync = cluster.settings.sync and Sync(interface=cluster.settings.sync.interface, id=cluster.settings.sync.id)
    unsaid = {
        "on_store_loss": "failsafe",
        "brakes": Brakes(),
        "notify": Notify(),
        "sync": sync,
        "reachability": Reachability(),
        "groups": {},
        "preempt_after_s": None,
        "protect": False,
    }
    settings = cluster.settings.model_copy(
        update={"forwarding": draw(st.sampled_from(WAYS)), "heartbeat": heartbeat, **unsaid}
    )
    virtuals: dict[str, Virtual] = {}
    for name, virtual in cluster.virtuals.items():
        said, port = _sayable(virtual), None if virtual.port else draw(st.integers(1, 65535))
        check = draw(lvscf_checks(said.port or port or 80)).model_copy(update={"port": port if said.mark else None})
        said = said.model_copy(update={"check": check})
        if settings.forwarding != "nat":
            portless = {label: each.model_copy(update={"port": None}) for label, each in said.servers.items()}
            said = said.model_copy(update={"servers": portless})
        virtuals[name] = said
    whole = Cluster(cluster=settings, routers=routers, virtuals=virtuals)
    hidden: tuple[Masquerade, ...] = masquerades(whole)
    return whole.model_copy(update={"settings": settings.model_copy(update={"masquerade": hidden})})
