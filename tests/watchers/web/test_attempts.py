"""How often somebody may try a password."""

from watchers.web import attempts
from watchers.web.attempts import EACH_ADDRESS, EACH_USER, WITHIN_S, Attempts


def test_an_address_has_so_many_attempts_and_then_waits_for_the_oldest() -> None:
    table = Attempts()
    waits = [table.wait_s("a", f"user{n}", now_s=float(n)) for n in range(EACH_ADDRESS)]
    assert waits == [0.0] * EACH_ADDRESS
    assert table.wait_s("a", "another", now_s=20.0) == WITHIN_S - 20.0
    assert table.wait_s("b", "another", now_s=20.0) == 0
    assert table.wait_s("a", "another", now_s=WITHIN_S) == 0
    assert table.wait_s("a", "another", now_s=WITHIN_S) > 0


def test_a_user_has_so_many_attempts_from_everywhere_whatever_the_case_of_the_name() -> None:
    table = Attempts()
    assert not any(table.wait_s(f"a{n}", "Alice" if n % 2 else "alice", 0.0) for n in range(EACH_USER))
    assert table.wait_s("elsewhere", "ALICE", 1.0) == WITHIN_S - 1.0
    assert table.wait_s("elsewhere", "bob", 1.0) == 0


def test_a_good_one_takes_back_what_its_address_and_its_user_had() -> None:
    table = Attempts()
    for _ in range(EACH_ADDRESS):
        table.wait_s("a", "alice", 0.0)
    assert table.wait_s("a", "alice", 0.0) > 0
    table.good("a", "alice")
    assert table.wait_s("a", "alice", 0.0) == 0


def test_who_waits_does_not_wait_longer_by_trying() -> None:
    table = Attempts()
    for n in range(EACH_ADDRESS + 50):
        table.wait_s("a", "alice", n / 100)
    assert table.wait_s("a", "alice", WITHIN_S) == 0


def test_the_table_is_bounded() -> None:
    table = Attempts()
    for n in range(attempts.MOST_KEYS + 10):
        table.wait_s(f"a{n}", f"u{n}", 0.0)
    assert len(table) == attempts.MOST_KEYS
