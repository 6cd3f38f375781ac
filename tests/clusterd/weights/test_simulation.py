"""The default controller in a loop with queues: it settles, does not oscillate, starves nobody, and lets go again."""

import itertools
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clusterd.weights.__main__ import draw
from tests.clusterd.weights.queues import Queue, Run, busy, run, spread, steady, waves

LONG_S = 1800.0
FLOOR = 0.1
SEEDS = (1, 2, 3)


def slow() -> dict[str, Queue]:
    return {"a": Queue(), "b": Queue(), "c": Queue(), "odd": Queue(speed=0.5)}


def double() -> dict[str, Queue]:
    return {"a": Queue(), "b": Queue(), "c": Queue(), "odd": Queue(cores=4)}


def levels(seen: Run, name: str, start_s: float, each_s: float = 300) -> list[float]:
    """The weight of a server on average of each span of time."""
    spans = range(round((LONG_S - start_s) / each_s))
    return [statistics.mean(seen.between(name, start_s + n * each_s, start_s + (n + 1) * each_s)) for n in spans]


@pytest.mark.parametrize(("pool", "per_s"), [(slow, 24), (double, 36)])
def test_without_chance_weights_settle_and_are_written_no_more(
    pool: Callable[[], dict[str, Queue]], per_s: float
) -> None:
    seen = run(pool(), steady(per_s), LONG_S, seed=None)
    assert not [at for at in seen.writes if at > LONG_S / 3]
    assert spread([seen.weights[name][-1] for name in "abc"]) < 0.01, "equal servers have equal weights"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_server_gets_less_so_that_its_queue_ends(seed: int) -> None:
    seen = run(slow(), steady(24), LONG_S, seed)
    assert all(0.5 < level < 0.8 for level in levels(seen, "odd", 300))
    assert max(seen.loads["odd"][300:]) < 8
    fixed = run(slow(), steady(24), LONG_S, seed, dead_band=1.0)
    assert fixed.loads["odd"][-1] > 30, "with the configured weights it has no end"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_with_double_processors_gets_more(seed: int) -> None:
    seen = run(double(), steady(36), LONG_S, seed)
    assert all(1.4 < level < 2.0 for level in levels(seen, "odd", 300))
    assert all(0.7 < level < 1.1 for name in "abc" for level in levels(seen, name, 300))


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_do_not_oscillate_when_the_load_does(seed: int) -> None:
    seen = run(slow(), waves(8, 28, period_s=180), LONG_S, seed)
    for name in ("a", "b", "c"):
        assert all(0.9 < level < 1.5 for level in levels(seen, name, 300))
    assert all(0.5 < level < 0.9 for level in levels(seen, "odd", 300))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_busy_server_gets_less_within_three_polls_and_its_share_back_after(seed: int) -> None:
    servers = {"a": Queue(other=busy(600, 1200, 6)), "b": Queue(), "c": Queue()}
    seen = run(servers, steady(12), LONG_S, seed)
    before = seen.share("a", 500, 600)
    assert before == pytest.approx(1 / 3, abs=0.06)
    assert seen.share("a", 630, 640) < 0.75 * before
    assert seen.share("a", 1500, LONG_S) == pytest.approx(1 / 3, abs=0.06)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("load", [{}, {"controller": "piranha", "interval_s": 20}])
def test_nobody_starves_and_the_kernel_is_not_written_too_often(seed: int, load: dict[str, object]) -> None:
    seen = run(slow(), waves(8, 60, period_s=120), LONG_S, seed, **load)
    least = FLOOR if not load else 1.0
    assert all(min(weights) >= least for weights in seen.weights.values())
    moments = sorted(set(seen.writes))
    assert all(later - sooner > 4.9 for sooner, later in itertools.pairwise(moments))


def test_the_plot_is_the_same_every_time(tmp_path: Path) -> None:
    files = tmp_path / "one.svg", tmp_path / "two.svg"
    for file in files:
        draw(file)
    assert files[0].read_bytes() == files[1].read_bytes()
