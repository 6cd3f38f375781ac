"""Editing anything never resets the state of an untouched check: random edits, and checks that the test ends."""

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clusterd.checks.dialogue import Through
from clusterd.health import Observation, Record
from clusterd.model import Check, Cluster
from watchers.prober import Prober
from watchers.prober_link import ProberLink
from watchers.prober_messages import Assignment, Identity, Report, Target, targets

GOOD, BAD = Observation(True, "accepted a connection"), Observation(False, "connection refused")
NAMES = ("a", "b", "c")
CHECKS: list[dict[str, Any]] = [
    {"type": "tcp", "fall": 3},
    {"type": "tcp", "fall": 3, "initial": "up"},
    {"type": "http", "fall": 4, "initial": "down"},
]


class Idle:
    """Begins nothing: the test decides what is found out."""

    def check(
        self,
        address: str,
        port: int,
        check: Check,
        done: Callable[[Observation], None],
        through: Through | None = None,
        begun: Callable[[], None] | None = None,
    ) -> "Idle":
        return self

    def cancel(self) -> None:
        pass


servers = st.dictionaries(
    st.sampled_from(NAMES),
    st.fixed_dictionaries(
        {"address": st.sampled_from(["10.1.0.1", "10.1.0.2"])},
        optional={"port": st.just(81), "weight": st.integers(0, 3), "enabled": st.booleans(), "drain": st.booleans()},
    ),
)
virtuals = st.dictionaries(
    st.sampled_from(NAMES),
    st.fixed_dictionaries(
        {"address": st.just("10.0.0.1/24"), "interface": st.just("eth0"), "port": st.integers(80, 82)},
        optional={
            "check": st.sampled_from(CHECKS),
            "enabled": st.booleans(),
            "scheduler": st.sampled_from(["rr", "wlc"]),
            "servers": servers,
        },
    ),
)
documents = st.permutations(NAMES).flatmap(
    lambda order: virtuals.map(lambda found: {"virtuals": {name: found[name] for name in order if name in found}})
)
# Between two edits, some of the checks have found something out.
seen = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans()), max_size=12)


def remembered(prober: Prober) -> dict[Identity, tuple[Target, Record]]:
    return {identity: (watch.target, watch.record) for identity, watch in prober.watches.items()}


@given(edits=st.lists(st.tuples(documents, seen), min_size=2, max_size=6))
def test_editing_anything_never_resets_the_state_of_an_untouched_check(edits: list[tuple[Any, Any]]) -> None:
    asyncio.run(edited(edits))


async def edited(edits: list[tuple[dict[str, Any], list[tuple[str, str, bool]]]]) -> None:
    reports: list[Report] = []
    prober = Prober(reports.append, Idle())
    link = ProberLink(lambda _: None)
    for document, found in edits:
        before = remembered(prober)
        wanted = targets(Cluster.model_validate(document))
        link.watch(wanted, link.identities - {target.identity for target in wanted})
        for message in link.untold():
            told = Assignment.model_validate_json(message.model_dump_json())
            prober.assign(told.targets, told.gone)
        after = remembered(prober)
        assert set(after) == {target.identity for target in wanted}
        for identity, (target, record) in after.items():
            if identity in before and before[identity][0].same_check(target):
                assert record is before[identity][1]
        for *names, ok in found:
            watch = prober.watches.get((names[0], names[1]))
            if watch is not None:
                prober.learn(watch, GOOD if ok else BAD, 0.0)
        for report in reports:
            link.learn(report)
        reports.clear()
    prober.assign([], [*prober.watches])
