"""Sessions: how long they live, and that a form fits only its own browser."""

from watchers.web import sessions
from watchers.web.sessions import Session, Sessions, Terms, form_fits, form_token

TERMS = Terms(idle_s=10.0, most_s=100.0)


def begun(table: Sessions, token: str, now_s: float = 0.0, user: str = "alice") -> None:
    table.begin(token, Session(user, "hash", now_s, now_s))


def test_a_session_is_found_by_its_token_alone() -> None:
    table = Sessions(TERMS)
    begun(table, "token")
    found = table.used("token", 1.0)
    assert found
    assert (found.user, found.used_s) == ("alice", 1.0)
    assert table.used("other", 1.0) is None
    assert "token" not in repr(list(table)) + repr(vars(table))


def test_one_that_nobody_uses_ends() -> None:
    table = Sessions(TERMS)
    begun(table, "token")
    assert table.used("token", 9.0)
    assert table.used("token", 18.0)
    assert table.used("token", 28.0) is None
    assert len(table) == 0


def test_a_page_that_updates_itself_does_not_use_it() -> None:
    table = Sessions(TERMS)
    begun(table, "token")
    assert table.seen("token", 9.0)
    assert table.seen("token", 10.0) is None


def test_every_one_ends_after_a_while() -> None:
    table = Sessions(TERMS)
    begun(table, "token")
    assert all(table.used("token", float(now_s)) for now_s in range(0, 100, 5))
    assert table.used("token", 100.0) is None


def test_it_ends_when_somebody_logs_out() -> None:
    table = Sessions(TERMS)
    begun(table, "token")
    table.end("token")
    table.end("token")
    assert table.used("token", 0.0) is None


def test_there_are_so_many_of_one_user_and_the_one_used_least_lately_goes() -> None:
    table = Sessions(TERMS)
    for n in range(sessions.MOST_EACH):
        begun(table, f"t{n}")
    begun(table, "bob", user="bob")
    assert table.used("t0", 1.0)
    begun(table, "new", 1.0)
    assert [bool(table.seen(token, 1.0)) for token in ("t0", "t1", "new", "bob")] == [True, False, True, True]


def test_there_are_so_many_at_all() -> None:
    table = Sessions(TERMS)
    for n in range(sessions.MOST + 5):
        begun(table, f"t{n}", user=f"u{n}")
    assert len(table) == sessions.MOST
    assert table.seen("t4", 0.0) is None
    assert table.seen("t5", 0.0)


def test_what_is_over_makes_room_when_one_begins() -> None:
    table = Sessions(TERMS)
    begun(table, "old")
    begun(table, "new", 50.0, "bob")
    assert len(table) == 1


def test_a_form_fits_the_browser_that_it_was_made_for() -> None:
    made = form_token(b"secret", "cookie")
    assert form_fits(b"secret", "cookie", made)
    assert not form_fits(b"secret", "another", made)
    assert not form_fits(b"other secret", "cookie", made)
    assert not form_fits(b"secret", "cookie", "")
    assert not form_fits(b"secret", "cookie", "ü\udcff")
    assert not form_fits(b"secret", "", form_token(b"secret", ""))
