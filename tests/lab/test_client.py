"""What the instruments conclude from what they saw."""

from tests.lab.client import Answer, ArpLog, Polls, Request


def polls(*answered: bool) -> Polls:
    return Polls(
        tuple(Request(i / 10, i / 10 + 0.01 if ok else None, "rs1" if ok else None) for i, ok in enumerate(answered))
    )


def log(*answers: tuple[int, float, str]) -> ArpLog:
    return ArpLog(len(answers), tuple(Answer(*answer) for answer in answers), ())


def test_the_gap_lasts_from_the_last_good_start_to_the_next() -> None:
    seen = polls(True, True, False, False, True, True)
    assert round(seen.longest_gap_s, 3) == 0.3
    assert round(seen.longest_wait_s, 3) == 0.3
    assert seen.failures == 2
    assert seen.by_server == {"rs1": 4}


def test_a_gap_that_never_ends_lasts_until_the_last_request() -> None:
    assert round(polls(True, True, False, False, False).longest_gap_s, 3) == 0.3
    assert round(polls(False, False, False, True).longest_gap_s, 3) == 0.3
    assert round(polls(False, False, False).longest_gap_s, 3) == 0.2
    assert polls().longest_gap_s == 0


def test_two_answers_to_one_probe_are_dual_and_one_takeover_is_not() -> None:
    takeover = log((1, 0.1, "A"), (2, 0.2, "A"), (3, 0.3, "B"), (4, 0.4, "B"))
    assert takeover.dual_answers() == ()
    assert takeover.holders() == ((0.1, "A"), (0.3, "B"))
    assert takeover.alternations() == 0
    both = log((1, 0.1, "A"), (2, 0.2, "B"), (2, 0.21, "A"), (3, 0.3, "A"))
    assert both.dual_answers() == ((2, frozenset("AB")),)


def test_answers_in_turns_are_alternations_unless_time_lies_between() -> None:
    turns = log((1, 0.1, "A"), (2, 0.2, "B"), (3, 0.3, "A"), (4, 0.4, "B"))
    assert turns.alternations() == 2
    back = log((1, 0.1, "A"), (2, 0.2, "B"), (300, 9.0, "A"))
    assert back.alternations(within_s=1) == 0
