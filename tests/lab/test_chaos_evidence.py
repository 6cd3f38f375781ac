"""What a chaos run concludes from what it saw: nothing that is broken passes."""

from tests.lab.chaos.evidence import (
    Acknowledged,
    Footprint,
    Window,
    counted,
    doubled,
    grown,
    lost,
    orphaned,
    outside,
    surprised,
)
from tests.lab.client import Answer, ArpLog, Polls, Request

ONE, TWO, THREE = Acknowledged(1, "a"), Acknowledged(2, "b"), Acknowledged(3, "c")
SMALL = Footprint(3, 60, 12, 150_000)
WINDOW = Window(10.0, 15.0, "active router killed")


def polls(*failed_at_s: float) -> Polls:
    good = [Request(float(at_s), at_s + 0.01, "rs1") for at_s in range(30)]
    return Polls(tuple(sorted([*good, *(Request(at_s, None, None) for at_s in failed_at_s)], key=lambda r: r.start_s)))


def test_requests_that_fail_in_a_window_are_counted_and_others_are_findings() -> None:
    seen = polls(9.5, 12.0, 14.9)
    assert outside(seen, [WINDOW], 0.0) == ()
    assert counted(seen, [WINDOW, Window(0, 1, "nothing")]) == (3, 0)


def test_requests_that_fail_outside_are_told_with_their_moments() -> None:
    assert outside(polls(8.9, 12.0, 15.1), [WINDOW], 5.0) == (
        "2 requests failed outside of every announced window, at second 3.90, 10.10",
    )
    assert outside(polls(1.0), [], 0.0) != ()


def test_an_acknowledged_commit_that_is_not_in_the_history_is_lost() -> None:
    assert lost([ONE, THREE], [ONE, TWO, THREE]) == ()
    assert lost([ONE, THREE], [ONE, TWO]) == ("commit 3 (c) was acknowledged and is not in the history in its place",)
    assert "in its place" in lost([Acknowledged(1, "b")], [ONE, TWO])[0]


def test_a_commit_that_is_there_twice_or_a_gap_is_found() -> None:
    assert lost([], [ONE, Acknowledged(2, "a")]) == ("commit a is in the history 2 times",)
    assert lost([], [ONE, THREE]) == ("the history's numbers are [1, 3]",)


def test_two_answers_to_one_probe_and_answers_in_turns_are_found() -> None:
    good = ArpLog(2, (Answer(1, 0.1, "A"), Answer(2, 0.2, "B")), ())
    twice = ArpLog(1, (Answer(1, 0.1, "A"), Answer(1, 0.2, "B")), ())
    turns = ArpLog(3, (Answer(1, 0.1, "A"), Answer(2, 0.2, "B"), Answer(3, 0.3, "A")), ())
    assert doubled(good) == ()
    assert doubled(twice) == ("1 of 1 ARP probes were answered by two routers",)
    assert doubled(turns) == ("the address went to and fro 1 times within a second",)


def test_what_grows_is_found() -> None:
    assert grown("r1", SMALL, Footprint(3, 66, 18, 180_000)) == ()
    assert grown("r1", SMALL, Footprint(4, 67, 19, 190_000)) == (
        "r1 has 4 processes, 3 at the beginning",
        "r1 has 67 descriptors, 60 at the beginning",
        "r1 has 19 threads, 12 at the beginning",
        "r1 takes 190000 kB of memory, 150000 at the beginning",
    )


def test_what_should_not_happen_in_a_routers_log_is_found() -> None:
    line = "ERROR clusterd.router: this should not happen, please report it\n"
    assert surprised("r1", "INFO clusterd.router: start\n") == ()
    assert surprised("r1", line * 2) == ("r1 says 2 times: this should not happen",)


def test_a_lease_without_a_key_is_found() -> None:
    assert orphaned({"1": 2, "7": 0}) == ("lease 7 has no key",)
