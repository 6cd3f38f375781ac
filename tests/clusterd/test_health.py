"""Observations become verdicts: the rules one by one, then all of them against a slow obvious twin."""

from hypothesis import given
from hypothesis import strategies as st

from clusterd.health import Observation, Record, Verdict, step
from clusterd.model import TcpCheck, Timing

GOOD = Observation(True, "accepted a connection")
BAD = Observation(False, "connection refused")
NOTHING_LEARNED = Observation(False, "too many open files", conclusive=False)

UP = Record(Verdict(True, -100.0, "accepted a connection"))
DOWN = Record(Verdict(False, -100.0, "no answer within 1 s"))


def timing(fall: int = 3, rise: int = 2, reentry_s: float = 0) -> Timing:
    return TcpCheck(type="tcp", fall=fall, rise=rise, reentry_s=reentry_s)


def after(record: Record, *observations: Observation, rules: Timing, apart_s: float = 1.0) -> Record:
    for number, observation in enumerate(observations):
        record = step(record, observation, rules, number * apart_s)
    return record


def is_up(record: Record) -> bool:
    assert record.verdict is not None
    return record.verdict.up


def test_a_server_without_a_past_joins_with_its_first_success() -> None:
    assert step(Record(), GOOD, timing(rise=5, reentry_s=60), 7.0).verdict == Verdict(True, 7.0, GOOD.detail)


def test_a_server_without_a_past_is_down_with_its_first_failure() -> None:
    assert step(Record(), BAD, timing(fall=5), 7.0).verdict == Verdict(False, 7.0, BAD.detail)


def test_an_up_server_falls_with_the_last_of_fall_failures_in_a_row() -> None:
    rules = timing(fall=3)
    assert is_up(after(UP, BAD, BAD, GOOD, BAD, BAD, rules=rules))
    assert after(UP, BAD, BAD, BAD, rules=rules).verdict == Verdict(False, 2.0, BAD.detail)


def test_a_down_server_rises_with_the_last_of_rise_successes_in_a_row() -> None:
    rules = timing(rise=3)
    assert not is_up(after(DOWN, GOOD, GOOD, BAD, GOOD, GOOD, rules=rules))
    assert after(DOWN, GOOD, GOOD, GOOD, rules=rules).verdict == Verdict(True, 2.0, GOOD.detail)


def test_a_down_server_returns_only_when_it_was_good_for_reentry_s() -> None:
    rules = timing(rise=1, reentry_s=3)
    assert not is_up(after(DOWN, GOOD, GOOD, GOOD, rules=rules))
    assert after(DOWN, GOOD, GOOD, GOOD, GOOD, rules=rules).verdict == Verdict(True, 3.0, GOOD.detail)


def test_a_failure_in_between_starts_the_reentry_time_anew() -> None:
    rules = timing(rise=1, reentry_s=3)
    assert not is_up(after(DOWN, GOOD, GOOD, BAD, GOOD, GOOD, GOOD, rules=rules))
    assert is_up(after(DOWN, GOOD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD, rules=rules))


def test_reentry_does_not_replace_rise() -> None:
    assert not is_up(after(DOWN, GOOD, GOOD, rules=timing(rise=3, reentry_s=5), apart_s=10.0))


def test_a_verdict_that_stays_keeps_its_time_and_its_detail() -> None:
    other = Observation(False, "no route to host")
    assert after(DOWN, BAD, other, rules=timing(fall=1)).verdict is DOWN.verdict


def test_a_check_that_could_not_be_made_changes_nothing() -> None:
    assert step(Record(), NOTHING_LEARNED, timing(), 1.0) == Record()
    failing = after(UP, BAD, rules=timing(fall=2))
    assert step(failing, NOTHING_LEARNED, timing(fall=2), 9.0) == failing


def test_an_up_server_is_doubtful_from_its_first_failure_until_its_next_success() -> None:
    rules = timing(fall=3)
    assert not UP.doubtful
    assert after(UP, BAD, rules=rules).doubtful
    assert not after(UP, BAD, GOOD, rules=rules).doubtful
    assert not after(UP, BAD, BAD, BAD, rules=rules).doubtful
    assert not Record().doubtful


Seen = list[tuple[float, bool]]


def twin(past: bool | None, seen: Seen, rules: Timing) -> bool | None:
    """The verdict by its definition, from the whole history at every step."""
    verdict = past
    for end in range(1, len(seen) + 1):
        so_far = seen[:end]
        good_from = next((n + 1 for n in reversed(range(end)) if not so_far[n][1]), 0)
        run = so_far[good_from:]
        if verdict is None:
            verdict = so_far[-1][1]
        elif verdict:
            verdict = not (end >= rules.fall and not any(ok for _, ok in so_far[-rules.fall :]))
        else:
            verdict = len(run) >= rules.rise and run[-1][0] - run[0][0] >= rules.reentry_s
    return verdict


rules_of_any_kind = st.builds(timing, st.integers(1, 4), st.integers(1, 4), st.integers(0, 12))
# Whole seconds: the same sums in the same order, whatever the clock.
histories = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40)


def timed(history: list[tuple[int, bool]]) -> Seen:
    now_s, seen = 0.0, []
    for pause_s, ok in history:
        now_s += pause_s
        seen.append((now_s, ok))
    return seen


def known(past: bool | None) -> Record:
    return Record() if past is None else UP if past else DOWN


@given(past=st.sampled_from([None, True, False]), history=histories, rules=rules_of_any_kind)
def test_every_history_gives_the_verdict_of_the_twin(
    past: bool | None, history: list[tuple[int, bool]], rules: Timing
) -> None:
    record, seen = known(past), timed(history)
    for end, (now_s, ok) in enumerate(seen, start=1):
        before = record.verdict
        record = step(record, GOOD if ok else BAD, rules, now_s)
        assert is_up(record) == twin(past, seen[:end], rules)
        assert record.verdict is before or (record.verdict is not None and record.verdict.since_s == now_s)


@given(past=st.booleans(), history=histories, rules=rules_of_any_kind)
def test_no_verdict_changes_before_its_run_is_complete(
    past: bool, history: list[tuple[int, bool]], rules: Timing
) -> None:
    record, seen = known(past), timed(history)
    for end, (now_s, ok) in enumerate(seen, start=1):
        was_up = is_up(record)
        record = step(record, GOOD if ok else BAD, rules, now_s)
        if was_up != is_up(record):
            run = seen[:end][-(rules.fall if was_up else rules.rise) :]
            assert len(run) == (rules.fall if was_up else rules.rise)
            assert all(ok is not was_up for _, ok in run)


@given(history=histories, rules=rules_of_any_kind, gaps=st.sets(st.integers(0, 39)))
def test_inconclusive_checks_in_between_make_no_difference(
    history: list[tuple[int, bool]], rules: Timing, gaps: set[int]
) -> None:
    plain = disturbed = Record()
    for number, (now_s, ok) in enumerate(timed(history)):
        if number in gaps:
            disturbed = step(disturbed, NOTHING_LEARNED, rules, now_s)
        plain, disturbed = (step(record, GOOD if ok else BAD, rules, now_s) for record in (plain, disturbed))
    assert plain == disturbed
