"""One virtual server through time, as the tests of weights tell it."""

from typing import Any

from clusterd.document import from_data
from clusterd.model import Virtual
from clusterd.weights import Factor, Memory, Pool, Reading, Sighting, pool

SERVERS: dict[str, dict[str, Any]] = {
    "rs1": {"address": "192.168.1.1", "weight": 2},
    "rs2": {"address": "192.168.1.2"},
    "rs3": {"address": "192.168.1.3"},
    "rs4": {"address": "192.168.1.4"},
}
SORRY = "192.168.1.99"


def virtual(number: int = 4, **more: Any) -> Virtual:
    """A virtual server with the first of these real servers."""
    servers = dict(list(SERVERS.items())[:number])
    web = {"address": "1.2.3.1/24", "interface": "eth0", "port": 80, "servers": servers, **more}
    return from_data({"virtuals": {"web": web}}).virtuals["web"]


def with_server(name: str, **more: Any) -> dict[str, Any]:
    """These real servers, one of them with more keys."""
    return SERVERS | {name: {**SERVERS[name], **more}}


class Story:
    """Takes looks at one virtual server, one after the other."""

    def __init__(self, about: Virtual) -> None:
        self.about, self.memory, self.seen = about, Memory(), dict.fromkeys(about.servers, Sighting(up=True))
        self.pool = Pool({})
        self.again_s = 0.0

    def at(self, now_s: float, **seen: Sighting | bool | None) -> dict[str, int | None]:
        """Look, with what is new, and return the weights."""
        news = {name: one if isinstance(one, Sighting) else Sighting(one) for name, one in seen.items()}
        self.seen = self.seen | news
        self.memory, self.pool, self.again_s = pool(self.memory, self.about, self.seen, now_s)
        return self.weights

    def loads(self, now_s: float, *loads: float, cores: int = 1) -> dict[str, int | None]:
        """Look, with a new reading of each server."""
        readings = {
            name: Sighting(up=True, reading=Reading(now_s, load, cores))
            for name, load in zip(self.about.servers, loads, strict=False)
        }
        return self.at(now_s, **readings)

    @property
    def weights(self) -> dict[str, int | None]:
        return {name: standing.weight for name, standing in self.pool.standings.items()}

    def factor(self, server: str, name: str) -> Factor | None:
        return next((one for one in self.pool.standings[server].factors if one.name == name), None)
