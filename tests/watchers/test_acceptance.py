"""Which configurations a router follows, and what it says about the others."""

import pytest

from clusterd.configuration import Committed
from clusterd.errors import ConfigError, Problem
from clusterd.hashes import Hashes
from clusterd.history import Author, Head
from clusterd.model import Cluster
from watchers.acceptance import refusal
from watchers.last_good import LastGood

ONE, OTHER = "a" * 64, "b" * 64
HERE = "`clusterd adopt --restored` says so to all routers"
FOLLOWED = LastGood(5, ONE, Cluster())


def committed(number: int, hash_: str = ONE) -> Committed:
    head = Head(
        number=number,
        generation=1,
        id="x",
        author=Author(user="tester", host="here"),
        time="2026-01-01T00:00:00Z",
        message="",
        hash=hash_,
        config_hash=ONE,
    )
    return Committed(head, Cluster(), {}, Hashes.of({}), 1, 1)


@pytest.mark.parametrize("current", [None, FOLLOWED])
def test_a_newer_commit_is_followed(current: LastGood | None) -> None:
    assert refusal(current, committed(6, OTHER)) == ""


def test_the_same_commit_is_no_news() -> None:
    assert refusal(FOLLOWED, committed(5)) == ""


def test_an_older_commit_is_not_followed_and_the_way_out_is_told() -> None:
    told = refusal(FOLLOWED, committed(4))
    assert told.startswith("etcd holds commit 4, but commit 5 was followed before; ")
    assert told.endswith(HERE)


def test_another_commit_of_the_same_number_is_not_followed() -> None:
    told = refusal(FOLLOWED, committed(5, OTHER))
    assert told.startswith("etcd holds another commit 5 than the one that was followed before; ")
    assert told.endswith(HERE)


@pytest.mark.parametrize("seen", [committed(4), committed(5, OTHER)])
def test_what_the_store_has_is_followed_where_the_commit_that_was_followed_is_given_up(seen: Committed) -> None:
    assert refusal(FOLLOWED, seen, {ONE}) == ""
    assert refusal(FOLLOWED, seen, {OTHER}) != ""


def test_an_empty_store_is_not_followed_whatever_was_given_up() -> None:
    assert refusal(FOLLOWED, None, {ONE}) != ""


def test_an_empty_store_leaves_everything_in_force() -> None:
    told = refusal(FOLLOWED, None)
    assert told.startswith("etcd holds no configuration any more, commit 5 stays in force; ")
    assert told.endswith("make it anew with `clusterd init` and `clusterd adopt --restored`")


def test_a_store_that_was_never_used_waits_for_the_first_commit() -> None:
    assert refusal(None, None) == "nothing is committed yet: `clusterd init` makes the first commit"


@pytest.mark.parametrize("current", [None, FOLLOWED])
def test_what_cannot_be_read_is_not_followed(current: LastGood | None) -> None:
    error = ConfigError([Problem(0, "virtuals/web", "what is this")])
    told = refusal(current, error)
    assert told == "the configuration in etcd cannot be read: virtuals/web: what is this"
