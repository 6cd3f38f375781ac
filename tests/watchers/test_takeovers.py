"""Why a router took over, from what it knew when it claimed and what etcd remembers."""

import pytest

from watchers.lock import Former, former
from watchers.takeovers import Claiming, cause

SEEN = Claiming(free_s=10.0, holder="r1", token=5, lease_id=66, revoked=False)
UNSEEN = Claiming(free_s=10.0, holder="", token=0, lease_id=0, revoked=False)


@pytest.mark.parametrize(
    ("claiming", "before", "lives", "expected"),
    [
        (UNSEEN, Former(), False, "first start"),
        (UNSEEN, Former("r1", 5, ""), False, "lease ended"),
        (UNSEEN, Former("r1", 5, "hand-over"), False, "hand-over"),
        (SEEN, Former("r1", 5, "switchover"), True, "switchover"),
        (SEEN, Former("r1", 4, "switchover"), False, "lease ended"),
        (SEEN, Former("r1", 5, ""), False, "lease ended"),
        (SEEN, Former("r1", 5, ""), True, "lock deleted"),
        (Claiming(10.0, "r1", 5, 66, revoked=True), Former("r1", 5, ""), False, "fast"),
    ],
)
def test_the_cause_of_a_takeover(claiming: Claiming, before: Former, lives: bool, expected: str) -> None:
    assert cause(claiming, before, lives) == expected


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"router": "r1"}', b"\xff", b'{"router": 1, "token": "x"}'])
def test_a_record_that_cannot_be_read_is_nobody(value: bytes) -> None:
    assert former(value) == Former()
