"""Users of the console in etcd: what is kept, who may what, and that an admin is always left."""

import json
from datetime import UTC, datetime

import pytest

from clusterd import console_users
from clusterd.console_users import User
from clusterd.errors import ConfigError, ConflictError
from clusterd.keys import Keys
from clusterd.store.contract import Put
from clusterd.store.memory import MemoryStore

KEYS = Keys("test")
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ADMIN, VIEWER = User(role="admin"), User(role="viewer")


async def put(store: MemoryStore, name: str, user: User) -> None:
    await console_users.put(store, KEYS, await console_users.read(store, KEYS), name, user)


async def test_a_user_is_a_key_with_role_and_hash_and_without_the_password() -> None:
    store = MemoryStore()
    await put(store, "alice", console_users.made("operator", "correct horse", NOW))
    entry = await store.get("/clusterd-secrets/test/console/users/alice")
    assert entry
    kept = json.loads(entry.value)
    assert (kept["role"], kept["changed"]) == ("operator", "2026-01-31T12:00:00.000Z")
    assert kept["hash"].startswith("$argon2id$")
    assert b"correct horse" not in entry.value


def test_only_the_password_fits() -> None:
    user = console_users.made("viewer", "correct horse", NOW)
    assert console_users.fits(user, "correct horse")
    assert not console_users.fits(user, "correct horsf")
    other = console_users.with_password(user, "another horse", NOW)
    assert (console_users.fits(other, "another horse"), console_users.fits(other, "correct horse")) == (True, False)


@pytest.mark.parametrize("user", [None, User(role="admin"), User(role="admin", hash="plain")])
def test_without_a_hash_no_password_fits(user: User | None) -> None:
    assert not any(console_users.fits(user, word) for word in ("", "plain", "correct horse"))


@pytest.mark.parametrize("word", ["short", "x" * 1025])
def test_a_password_that_is_too_short_or_too_long_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="10 to 1024 characters"):
        console_users.made("viewer", word, NOW)


def test_each_role_may_what_the_lower_ones_may() -> None:
    may = {
        (mine, needed) for mine in console_users.ROLES for needed in console_users.ROLES if User(role=mine).may(needed)
    }
    lower = {("operator", "viewer"), ("admin", "viewer"), ("admin", "operator")}
    assert may == lower | {(role, role) for role in console_users.ROLES}


@pytest.mark.parametrize("name", ["", "a/b", "a b", "-a", "x" * 64])
async def test_a_name_that_makes_no_good_key_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="letters, digits"):
        await put(MemoryStore(), name, VIEWER)


async def test_the_only_admin_stays_one() -> None:
    store = MemoryStore()
    await put(store, "alice", ADMIN)
    await put(store, "bob", VIEWER)
    there = await console_users.read(store, KEYS)
    with pytest.raises(ConfigError, match="only admin"):
        await console_users.remove(store, KEYS, there, "alice")
    with pytest.raises(ConfigError, match="only admin"):
        await put(store, "alice", console_users.with_role(ADMIN, "viewer", NOW))
    await console_users.remove(store, KEYS, there, "bob")
    assert set((await console_users.read(store, KEYS)).by_name) == {"alice"}


async def test_two_admins_who_remove_each_other_at_once_leave_one() -> None:
    store = MemoryStore()
    await put(store, "alice", ADMIN)
    await put(store, "bob", ADMIN)
    there = await console_users.read(store, KEYS)
    await console_users.remove(store, KEYS, there, "bob")
    with pytest.raises(ConflictError):
        await console_users.remove(store, KEYS, there, "alice")
    assert set((await console_users.read(store, KEYS)).by_name) == {"alice"}


async def test_what_somebody_else_changed_meanwhile_is_not_overwritten() -> None:
    store = MemoryStore()
    nobody = await console_users.read(store, KEYS)
    await put(store, "alice", ADMIN)
    with pytest.raises(ConflictError):
        await console_users.put(store, KEYS, nobody, "alice", VIEWER)
    there = await console_users.read(store, KEYS)
    await put(store, "bob", VIEWER)
    await console_users.put(store, KEYS, there, "alice", console_users.with_password(ADMIN, "correct horse", NOW))


async def test_who_is_not_there_cannot_be_removed() -> None:
    store = MemoryStore()
    with pytest.raises(ConfigError, match="no user bob"):
        await console_users.remove(store, KEYS, await console_users.read(store, KEYS), "bob")


async def test_a_value_that_cannot_be_read_is_nobody_and_can_be_removed() -> None:
    store = MemoryStore()
    await put(store, "alice", ADMIN)
    await store.transact((), [Put(KEYS.console_user("odd"), b'{"role": "emperor"}')])
    there = await console_users.read(store, KEYS)
    assert set(there.by_name) == {"alice"}
    await console_users.remove(store, KEYS, there, "odd")
    assert await store.get(KEYS.console_user("odd")) is None
