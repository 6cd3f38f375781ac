"""A queueing model of real servers behind a scheduler that goes by weight, with a controller of weights in the loop.

Each server is a queue with so many processors of some speed: jobs come as a Poisson process and share the processors,
the load average is an exponential average over a minute of how many jobs there are (as the kernel counts), and the
controller sees it every `interval_s`. Time goes in small steps; chance comes from a seed, so a run can be had again.
Without a seed there is no chance: jobs flow evenly, which shows the controller alone.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from clusterd.document import from_data
from clusterd.weights import Memory, Reading, Sighting, pool

STEP_S = 0.1
MINUTE_S = 60.0
JOBS_PER_S = 5.0  # that one processor of speed 1 does

Chance = Callable[[float], float]  # from how many there are on average to how many there are


@dataclass
class Queue:
    """One real server. `other` says how many foreign jobs run on it at a moment."""

    cores: int = 2
    speed: float = 1.0
    other: Callable[[float], float] = lambda _: 0.0
    jobs: float = 0.0
    average: float = 0.0

    def step(self, arriving_per_s: float, now_s: float, chance: Chance) -> None:
        """Let a little time pass."""
        foreign = self.other(now_s)
        share = self.jobs / max(1.0, self.jobs + foreign)
        done_per_s = share * min(self.cores, self.jobs + foreign) * self.speed * JOBS_PER_S
        self.jobs += chance(arriving_per_s * STEP_S)
        self.jobs -= min(self.jobs, chance(done_per_s * STEP_S))
        self.average += (self.jobs + foreign - self.average) * (1 - math.exp(-STEP_S / MINUTE_S))


def _evenly(mean: float) -> float:
    return mean


def poisson(mean: float, dice: random.Random) -> int:
    """Return a number with a Poisson distribution (Knuth), for a small mean."""
    limit, product, number = math.exp(-mean), dice.random(), 0
    while product > limit:
        product *= dice.random()
        number += 1
    return number


@dataclass
class Run:
    """What was seen: moments, and of each server its weight's share of the configured one, and its load."""

    times: list[float] = field(default_factory=list)
    weights: dict[str, list[float]] = field(default_factory=dict)
    loads: dict[str, list[float]] = field(default_factory=dict)
    writes: list[float] = field(default_factory=list)  # moments at which a weight changed

    def between(self, name: str, start_s: float, end_s: float) -> list[float]:
        """Return the weights of a server in a span of time."""
        return [w for at, w in zip(self.times, self.weights[name], strict=True) if start_s <= at < end_s]

    def share(self, name: str, start_s: float, end_s: float) -> float:
        """Return a server's part of all weights in a span of time, on average."""
        sums = {each: sum(self.between(each, start_s, end_s)) for each in self.weights}
        return sums[name] / sum(sums.values())


def run(
    queues: Mapping[str, Queue],
    arriving_per_s: Callable[[float], float],
    duration_s: float,
    seed: int | None = 1,
    **load: Any,
) -> Run:
    """Let a controller and its servers work for so long."""
    servers = {name: {"address": f"10.0.0.{number}"} for number, name in enumerate(queues, 1)}
    web = {"address": "1.2.3.1/24", "interface": "eth0", "port": 80, "servers": servers}
    virtual = from_data({"virtuals": {"web": {**web, "load": {"source": "http", **load}}}}).virtuals["web"]
    chance = _evenly if seed is None else partial(poisson, dice=random.Random(seed))  # noqa: S311 - a model
    seen, memory, again_s = dict.fromkeys(queues, Sighting(up=True)), Memory(), 0.0
    weights: dict[str, int] = dict.fromkeys(queues, 1)
    found = Run(weights={name: [] for name in queues}, loads={name: [] for name in queues})
    for turn in range(round(duration_s / STEP_S)):
        now_s = turn * STEP_S
        if turn % round(virtual.load.interval_s / STEP_S) == 0:
            seen = {n: Sighting(up=True, reading=Reading(now_s, q.average, q.cores)) for n, q in queues.items()}
            again_s = now_s
        if now_s >= again_s:
            memory, made, again_s = pool(memory, virtual, seen, now_s)
            after = {name: standing.weight or 0 for name, standing in made.standings.items()}
            found.writes += [now_s] * sum(after[name] != weights[name] for name in queues)
            weights = after
        total = sum(weights.values())
        for name, queue in queues.items():
            queue.step(arriving_per_s(now_s) * weights[name] / total, now_s, chance)
        if turn % round(1 / STEP_S) == 0:
            _note(found, now_s, queues, weights)
    return found


def _note(found: Run, now_s: float, queues: Mapping[str, Queue], weights: Mapping[str, int]) -> None:
    found.times.append(now_s)
    for name, queue in queues.items():
        found.weights[name].append(weights[name] / 100)
        found.loads[name].append(queue.average / queue.cores)


def steady(per_s: float) -> Callable[[float], float]:
    """Return arrivals that do not change."""
    return lambda _: per_s


def waves(low: float, high: float, period_s: float) -> Callable[[float], float]:
    """Return arrivals that go up and down."""
    return lambda now_s: low + (high - low) * (0.5 - 0.5 * math.cos(2 * math.pi * now_s / period_s))


def busy(start_s: float, end_s: float, jobs: float) -> Callable[[float], float]:
    """Return foreign jobs for a while."""
    return lambda now_s: jobs if start_s <= now_s < end_s else 0.0


def spread(weights: Sequence[float]) -> float:
    """Return how far weights go apart, as a share of their average."""
    return (max(weights) - min(weights)) * len(weights) / sum(weights)
