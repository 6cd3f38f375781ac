"""What the blocks of an lvs.cf file mean as a document, and from which line of the file each part comes.

Nothing is left out silently: what the document has no place for becomes a warning.
"""

from typing import Any

from clusterd.lvscf.grammar import Path
from clusterd.lvscf.syntax import Block, Given
from clusterd.model import Cluster, Masquerade
from clusterd.reading import Draft, command, free_name

PRIORITIES = {"primary": 100, "backup": 50}
KEEPALIVE_S, DEADTIME_S, HEARTBEAT_PORT = 2, 5, 539
PORT, CHECK_S, REENTRY_S = 80, 10, 180
SYNC_INTERFACE = "eth0"
SHORTEST_DEADTIME_S = 2  # etcd's floor for a lease
LOAD_SOURCES = {"uptime": "ssh", "rup": "rup", "ruptime": "ruptime", "none": "none"}
NANNY = {"controller": "piranha", "interval_s": 20}  # how Piranha's nanny makes weights of load, and how often
PROBE = {"send": r"GET / HTTP/1.0\r\n\r\n", "expect": "HTTP"}  # what Piranha sends on port 80 when nothing is given


def draft(root: Block) -> Draft:
    """Return the document that the file describes, not yet validated."""
    made = Draft()
    _keys(made, root, ())
    _routers(made, root)
    _heartbeat(made, root)
    _gateway(made, root)
    _synchronisation(made, root)
    _timeouts(made, root)
    made.put(("virtuals",), {})
    for block in root.blocks:
        if block.word == "failover":
            made.warn(block.line, block.path, "not carried over: clusterd has no plain failover services")
        else:
            _virtual(made, root, block)
    return made


def _keys(made: Draft, block: Block, at: Path) -> None:
    """Carry over what goes as it is, remember where everything came from, and warn of what is lost."""
    for word, given in block.given.items():
        key = block.keys[word]
        for path in key.to:
            made.origins[at + path] = (given.line, block.where(word))
            if key.copied or not given.sound:
                made.put(at + path, given.value)
            if not given.sound:
                made.reported.add(at + path)
        if key.lost and given.sound and given.value not in key.nothing:
            made.warn(given.line, block.where(word), f"not carried over: {key.lost}")


def _routers(made: Draft, root: Block) -> None:
    made.data.pop("routers", None)  # put together here: a router without its public address is none
    active = root.given.get("backup_active")
    for name in PRIORITIES:
        public, private = root.given.get(name), root.given.get(f"{name}_private")
        if public is None:
            if private:
                made.warn(private.line, f"{name}_private", f"not carried over: there is no {name}")
            continue
        if name == "backup" and not (active and active.value):
            made.warn(public.line, name, "not carried over: backup_active is not 1, so it takes no part")
            continue
        made.origins["routers", name] = (public.line, name)
        made.put(("routers", name), {"public": public.value, "priority": PRIORITIES[name]})
        if private and "primary" in root.given and "primary_private" not in root.given:
            made.warn(private.line, f"{name}_private", "not carried over: Piranha ignores it without primary_private")
        elif private and private.value != public.value:
            made.put(("routers", name, "private"), private.value)
    if active and active.sound and active.value:
        if "backup" not in root.given:
            made.warn(active.line, "backup_active", "not carried over: there is no backup")
        if root.sound("heartbeat", False) is False:
            line = root.given.get("heartbeat", active).line
            made.warn(line, "heartbeat", "not carried over: routers always watch each other, as if it was 1")


def _heartbeat(made: Draft, root: Block) -> None:
    at = ("cluster", "heartbeat")
    made.put((*at, "port"), HEARTBEAT_PORT, over=False)
    keepalive, deadtime = root.given.get("keepalive"), root.given.get("deadtime")
    refresh_s: float = root.sound("keepalive", KEEPALIVE_S)
    lease_s: int = root.sound("deadtime", DEADTIME_S)
    if deadtime and 0 < lease_s < SHORTEST_DEADTIME_S:
        made.warn(deadtime.line, "deadtime", f"raised to {SHORTEST_DEADTIME_S}: no lease of etcd is shorter")
        lease_s = SHORTEST_DEADTIME_S
    said = keepalive or deadtime
    if said and 2 * refresh_s > lease_s > 0:
        word = "keepalive" if keepalive else "deadtime"
        made.warn(said.line, word, f"keepalive lowered to {lease_s / 2:g}, half of deadtime: one may come late")
        refresh_s = lease_s / 2
    made.put((*at, "keepalive_s"), refresh_s, over=False)
    made.put((*at, "deadtime_s"), lease_s, over=False)


def _timeouts(made: Draft, root: Block) -> None:
    for name in ("tcp", "tcpfin", "udp"):
        given = root.given.get(f"{name}_timeout")
        if given and given.sound and given.value:  # 0 leaves the kernel's
            made.origins["cluster", "timeouts", f"{name}_s"] = (given.line, f"{name}_timeout")
            made.put(("cluster", "timeouts", f"{name}_s"), given.value)


def _address(made: Draft, at: Path, given: Given, prefix: int) -> None:
    """Compose an address from its own key and its netmask; where one of them is wrong, that stays to be seen."""
    if given.sound:
        host, interface = given.value
        made.put((*at, "interface"), interface)
        if (*at, "address") not in made.reported:
            made.put((*at, "address"), f"{host}/{prefix}")


def _gateway(made: Draft, root: Block) -> None:
    given = root.given.get("nat_router")
    if given:
        _address(made, ("cluster", "nat_router"), given, root.sound("nat_nmask", 32))
    elif mask := root.given.get("nat_nmask"):
        made.data["cluster"].pop("nat_router", None)
        made.warn(mask.line, "nat_nmask", "not carried over: there is no nat_router")


def _synchronisation(made: Draft, root: Block) -> None:
    at = ("cluster", "sync")
    asked = bool(root.sound("syncdaemon", False))
    if asked:
        made.put(at, {"interface": root.sound("syncd_iface", SYNC_INTERFACE), "id": root.sound("syncd_id", 0)})
    else:
        made.data.get("cluster", {}).pop("sync", None)
    for word in ("syncd_iface", "syncd_id"):
        if not asked and root.sound(word):
            made.warn(root.given[word].line, word, "not carried over: without syncdaemon it has no effect")


def _virtual(made: Draft, root: Block, block: Block) -> None:
    address, mark = block.given.get("address"), block.sound("fwmark")
    at = ("virtuals", _name(made, block, made.data["virtuals"]))
    made.origins[at] = (block.line, block.path)
    for part in ("address", "interface"):
        made.origins[*at, part] = (block.line, block.where("address"))
    made.put(at, {"port": PORT, "enabled": False})
    _keys(made, block, at)
    if address:
        _address(made, at, address, block.sound("vip_nmask", 32))
    _persistence(made, block, at)
    _check(made, block, at)
    _load(made, root, block, at)
    made.put((*at, "servers"), {})
    for server in block.blocks:
        _server(made, block, server, (*at, "servers"))
    if mark:
        _mark(made, block, at, mark)


def _mark(made: Draft, block: Block, at: Path, mark: int) -> None:
    """Put a mark in the place of the port, which says where real servers are checked; they serve what is asked for."""
    made.origins[*at, "mark"] = (block.given["fwmark"].line, block.where("fwmark"))
    virtual = made.data["virtuals"][at[-1]]
    made.put((*at, "mark"), mark)
    made.put((*at, "check", "port"), virtual.pop("port"))
    for label, server in virtual["servers"].items():
        if server.pop("port", None):
            line, where = made.origins[*at, "servers", label]
            made.warn(line, f"{where}/port", "not carried over: behind a mark it is the port that the client asks for")


def _persistence(made: Draft, block: Block, at: Path) -> None:
    if block.sound("persistent"):
        mask = {"prefix": block.sound("pmask", 32)} if "pmask" in block.given else {}
        made.put((*at, "persistence"), {"timeout_s": block.sound("persistent"), **mask})
    elif block.sound("pmask", 32) != 32:
        line = block.given["pmask"].line
        made.warn(line, block.where("pmask"), "not carried over: without persistent it has no effect")


def _check(made: Draft, block: Block, at: Path) -> None:
    texts: dict[str, str] = {key: block.given[key].value for key in ("send", "expect") if key in block.given}
    check = {"interval_s": CHECK_S, "timeout_s": CHECK_S, "reentry_s": REENTRY_S, "fall": 1, "rise": 1}
    check |= made.data["virtuals"][at[-1]].get("check", {})
    for key in ("send", "expect", "regex", "command"):
        check.pop(key, None)
    if block.sound("send_program"):
        made.put((*at, "check"), _program(made, block, texts) | check)
        return
    if not texts and block.sound("port", PORT) == PORT:
        texts = PROBE
    if "expect" in texts and "expect" in block.given:
        made.origins[*at, "check"] = (block.given["expect"].line, block.where("expect"))  # when it does not compile
    kind = {"type": "send_expect", **texts, "regex": block.sound("use_regex", False)} if texts else {"type": "tcp"}
    made.put((*at, "check"), kind | check)


def _program(made: Draft, block: Block, texts: dict[str, str]) -> dict[str, Any]:
    """Return the check that runs send_program and compares what it prints; one that connects where it cannot be."""
    given = block.given["send_program"]
    if "send" in texts:
        made.warn(block.given["send"].line, block.where("send"), "not carried over: send_program stands in its place")
    try:
        words = command(given.value)
    except ValueError as error:
        made.warn(given.line, block.where("send_program"), f"not carried over, so the check only connects: {error}")
        return {"type": "tcp"}
    made.warn(given.line, block.where("send_program"), "is run as the user nobody, not as root")
    expect = {"expect": texts["expect"], "regex": block.sound("use_regex", False)} if "expect" in texts else {}
    return {"type": "exec", "command": words, **expect}


def _load(made: Draft, root: Block, block: Block, at: Path) -> None:
    source = block.sound("load_monitor")
    if source:
        made.put((*at, "load"), {"source": LOAD_SOURCES[source], **(NANNY if source != "none" else {})})
    if source == "uptime" and "rsh_command" not in root.given:
        line = block.given["load_monitor"].line
        made.warn(line, block.where("load_monitor"), "load is read by ssh, not by rsh")


def _server(made: Draft, virtual: Block, block: Block, around: Path) -> None:
    at = (*around, _name(made, block, made.data["virtuals"][around[1]]["servers"]))
    made.origins[at] = (block.line, block.path)
    made.put(at, {"enabled": False})
    port, later = block.port.value if block.port else PORT, virtual.sound("port", PORT)
    if port != later and (block.port is None or block.port.sound):
        made.put((*at, "port"), port)
    _keys(made, block, at)


def _name(made: Draft, block: Block, taken: dict[str, Any]) -> str:
    """Return the name as the document allows it, and only once."""
    name = free_name(block.name, taken)
    if name != block.name:
        made.warn(block.line, block.path, f"is called {name} here")
    return name


def masquerades(cluster: Cluster) -> tuple[Masquerade, ...]:
    """Return what hides the private network behind the interfaces that carry the VIPs; none where that is not known.

    This is the manual's step "Masquerade the private network", which Piranha left to the administrator.
    """
    gateway = cluster.settings.nat_router
    if cluster.settings.forwarding != "nat" or gateway is None or gateway.address.network.prefixlen == 32:
        return ()
    carriers = dict.fromkeys(virtual.interface for virtual in cluster.virtuals.values())
    network = gateway.address.network
    return tuple(
        Masquerade(source=network, interface=name) for name in carriers if name not in (None, gateway.interface)
    )
