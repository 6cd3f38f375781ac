"""What weight each real server has at this moment, and every reason for it. Pure.

    weight = configured × slow start × load, 0 while it is drained; whole numbers, since IPVS knows no others

Everything that takes time is a memory of one virtual server, kept by the names of its real servers, so that editing
one never resets another: `pool(memory, virtual, seen, now_s)` gives the next memory and the weights. Times are seconds
on any clock that never goes back.
"""

from clusterd.weights.controllers import Steering, piranha, smooth
from clusterd.weights.drains import Drains, drained
from clusterd.weights.pools import Memory, Pool, pool
from clusterd.weights.values import Factor, Reading, Sighting, Standing

__all__ = [
    "Drains",
    "Factor",
    "Memory",
    "Pool",
    "Reading",
    "Sighting",
    "Standing",
    "Steering",
    "drained",
    "piranha",
    "pool",
    "smooth",
]
