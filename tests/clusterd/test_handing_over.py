"""Which router could take over, and why another one could not."""

from typing import Any

import pytest

from clusterd import document, handing_over
from clusterd.errors import ConfigError, UnsafeChange
from clusterd.overview import Holder, Observed, Overview, overview
from clusterd.reports import Pause, RouterReport

ROUTERS = (
    "routers:\n  r1: {public: 1.2.3.2}\n  r2: {public: 1.2.3.3}\n  r3: {public: 1.2.3.4, priority: 150}\n"
    "  r4: {public: 1.2.3.5, priority: 150}\n"
)
CLUSTER = document.parse(ROUTERS)
HOLDER = Holder(group="default", router="r1", token=7)
WELL = RouterReport(role="backup", head=3, applied=3, converged=True, ready=True)


def view(pauses: tuple[Pause, ...] = (), **reports: RouterReport) -> Overview:
    return overview("main", 3, CLUSTER, Observed(routers=reports, pauses=pauses))


def obstacles(pauses: tuple[Pause, ...] = (), **changes: Any) -> tuple[str, ...]:
    seen = view(pauses, r2=WELL.model_copy(update=changes))
    return handing_over.obstacles(handing_over.named(seen, "r2", ""), 3)


def test_a_router_that_is_well_has_no_obstacle_nor_has_one_that_does_not_say() -> None:
    assert obstacles() == ()
    assert obstacles(ready=None, converged=None, applied=None) == ()


def test_every_obstacle_is_told() -> None:
    assert obstacles(ready=False, not_ready=("its servers are not checked",)) == ("its servers are not checked",)
    assert obstacles(ready=False) == ("it is not ready",)
    assert obstacles(ready=None, converged=False) == ("its kernel is not as it should be",)
    assert obstacles(ready=None, applied=2) == ("it is at commit 2 of 3",)
    assert obstacles((Pause(router="r2"),)) == ("it is paused",)
    assert obstacles((Pause(router="all"),)) == ()
    silent, stranger = view(r9=WELL), view(r9=WELL)
    assert handing_over.obstacles(handing_over.named(silent, "r2", ""), 3) == ("it is not alive",)
    assert handing_over.obstacles(handing_over.named(stranger, "r9", ""), 3) == ("the configuration does not have it",)


def test_the_best_router_has_the_highest_priority_and_no_obstacle() -> None:
    assert handing_over.best(view(r1=WELL, r2=WELL), CLUSTER, HOLDER).name == "r2"
    assert handing_over.best(view(r1=WELL, r2=WELL, r4=WELL, r3=WELL), CLUSTER, HOLDER).name == "r3"
    paused = (Pause(router="r3"),)
    assert handing_over.best(view(paused, r1=WELL, r2=WELL, r4=WELL, r3=WELL), CLUSTER, HOLDER).name == "r4"


def test_a_group_may_have_priorities_of_its_own() -> None:
    text = "cluster: {groups: {blue: {priorities: {r4: 200}}}}\n"
    cluster = CLUSTER.model_copy(update={"settings": document.parse(text + ROUTERS).settings})
    blue = Holder(group="blue", router="r1", token=9)
    assert handing_over.best(view(r1=WELL, r3=WELL, r4=WELL), cluster, blue).name == "r4"


def test_where_no_router_could_take_over_each_ones_obstacle_is_told() -> None:
    with pytest.raises(UnsafeChange) as caught:
        handing_over.best(view(r1=WELL, r2=WELL.model_copy(update={"ready": False})), CLUSTER, HOLDER)
    assert str(caught.value) == (
        "no router could take over; r2: it is not ready; r3: it is not alive; r4: it is not alive"
    )
    alone = overview("main", 3, document.parse("routers:\n  r1: {public: 1.2.3.2}\n"), Observed(routers={"r1": WELL}))
    with pytest.raises(UnsafeChange, match="there is only r1"):
        handing_over.best(alone, CLUSTER, HOLDER)


def test_a_router_that_is_not_there_and_one_that_is_not_able_are_errors_of_two_kinds() -> None:
    with pytest.raises(ConfigError, match="routers/r7: is not there; did you mean"):
        handing_over.named(view(), "r7", "; did you mean r1?")
    handing_over.check_able(handing_over.named(view(r2=WELL), "r2", ""), 3)
    with pytest.raises(UnsafeChange, match="r2 should not take over: it is not alive; --force"):
        handing_over.check_able(handing_over.named(view(), "r2", ""), 3)
