"""Who may do what in etcd, as a table, and what makes etcd's accounts so."""

import pytest

from clusterd import document
from clusterd.errors import ConfigError
from clusterd.keys import Keys
from clusterd.rights import Access, Accounts, Permission, Role, Step, ours, roles, steps, told, wanted

KEYS = Keys("main")
CLUSTER = document.parse(
    """\
routers:
  r1: {public: 1.2.3.2}
  r2: {public: 1.2.3.3}
virtuals:
  web: {address: 1.2.3.1/24, interface: eth0, port: 80, load: {source: agent}, servers: {rs1: {address: 192.168.1.1}}}
  dns: {address: 1.2.3.1/24, interface: eth0, port: 53, servers: {ns1: {address: 192.168.1.2}}}
"""
)
WANT = wanted(KEYS, CLUSTER, {"alice": "operator"})
NOTHING = Accounts({}, {})
COMMITTED = (KEYS.head, KEYS.config_object(1, "cluster"), KEYS.history(1), KEYS.staging("x"), KEYS.pending(1))
TOLD_BY_ROUTERS = (
    *(KEYS.active(), KEYS.last(), KEYS.router("r1"), KEYS.health("web", "rs1", "r1"), KEYS.weights("web", "r1")),
    *(KEYS.event("t", "1"), KEYS.applied(1, "r1"), KEYS.switchover(), KEYS.doctor_answer("q", "r1")),
)
ORDERS = (KEYS.switchover(), KEYS.pause("r1"), KEYS.doctor("q"), KEYS.doctor_answer("q", "r1"), KEYS.peer_key)


def carried_out(found: Accounts, changes: tuple[Step, ...]) -> Accounts:
    """Return the accounts after these steps, as etcd does them: a grant replaces one for the same keys."""
    made, users = dict(found.roles), dict(found.users)
    for step in changes:
        name, permission = step.subject, step.permission
        if step.verb == "add_role":
            made[name] = Role(name, ())
        elif step.verb == "delete_role":
            del made[name]
            users = {user: names - {name} for user, names in users.items()}
        elif step.verb in ("grant", "withdraw"):
            assert permission is not None
            rest = [one for one in made[name].permissions if (one.key, one.end) != (permission.key, permission.end)]
            made[name] = Role(name, tuple(sorted([*rest, *([permission] if step.verb == "grant" else [])])))
        elif step.verb == "add_user":
            users[name] = frozenset()
        elif step.verb == "delete_user":
            del users[name]
        else:
            change = {step.role}
            users[name] = users[name] | change if step.verb == "give_role" else users[name] - change
    return Accounts(made, users)


def writes(role: str, key: str) -> bool:
    """Whether a role may write a key."""
    return any(
        each.access is not Access.READ and (key.startswith(each.key) if each.prefix else key == each.key)
        for each in WANT.roles[f"clusterd-main-{role}"].permissions
    )


@pytest.mark.parametrize("key", [*COMMITTED, *TOLD_BY_ROUTERS, *ORDERS, KEYS.load("rs1"), KEYS.undoer("h")])
def test_each_role_writes_its_own_keys_and_no_others(key: str) -> None:
    assert writes("operator", key) == (key in (*COMMITTED, *ORDERS))
    assert writes("router", key) == (key in (*TOLD_BY_ROUTERS, KEYS.doctor("q")))
    assert writes("undoer", key) == (key in (*COMMITTED, KEYS.undoer("h")))
    assert writes("agent-rs1", key) == (key == KEYS.load("rs1"))
    assert not writes("viewer", key)


@pytest.mark.parametrize(
    ("secret", "readers"), [(KEYS.peer_key, {"operator", "router"}), (KEYS.console_user("alice"), {"operator"})]
)
def test_a_secret_is_read_by_those_alone_who_need_it(secret: str, readers: set[str]) -> None:
    assert readers == {
        name.removeprefix("clusterd-main-")
        for name, role in WANT.roles.items()
        if any(secret == each.key or (each.prefix and secret.startswith(each.key)) for each in role.permissions)
    }


def test_there_is_no_key_that_no_role_may_write() -> None:
    written = [each.key for role in WANT.roles.values() for each in role.permissions if each.access is not Access.READ]
    prefixes = {name: getattr(KEYS, name) for name in dir(Keys) if name.endswith("_prefix")}
    assert len(prefixes) > 12
    for name, prefix in prefixes.items():
        assert any(key.startswith(prefix) or prefix.startswith(key) for key in written), f"{name}: who writes it?"


def test_every_router_and_every_agent_has_a_user_of_its_own() -> None:
    assert WANT.users == {
        "clusterd-main-router-r1": {"clusterd-main-router"},
        "clusterd-main-router-r2": {"clusterd-main-router"},
        "clusterd-main-agent-rs1": {"clusterd-main-agent-rs1"},
        "clusterd-main-undoer": {"clusterd-main-undoer"},
        "clusterd-main-web": {"clusterd-main-operator"},
        "alice": {"clusterd-main-operator"},
    }


def test_from_nothing_everything_is_made_and_then_nothing_is_left_to_do() -> None:
    made = carried_out(NOTHING, steps(KEYS, NOTHING, WANT))
    assert made.users == WANT.users
    assert steps(KEYS, made, WANT) == ()
    assert steps(KEYS, made, wanted(KEYS, CLUSTER, {})) == (), "who is not named again keeps what they have"


def test_what_was_changed_since_is_put_right() -> None:
    made = carried_out(NOTHING, steps(KEYS, NOTHING, WANT))
    name = "clusterd-main-viewer"
    more = Permission(KEYS.prefix, Access.READWRITE, made.roles[name].permissions[0].end)
    strange = Permission(KEYS.head, Access.WRITE)
    altered = Accounts(
        {**made.roles, name: Role(name, (more, strange))},
        {**made.users, "clusterd-main-router-r1": frozenset({"clusterd-main-router", "clusterd-main-operator"})},
    )
    changes = steps(KEYS, altered, WANT)
    assert list(map(str, changes)) == [
        "role clusterd-main-viewer no longer writes /clusterd/main/head",
        "role clusterd-main-viewer from now on reads /clusterd/main/*",
        "user clusterd-main-router-r1 loses role clusterd-main-operator",
    ]
    assert steps(KEYS, carried_out(altered, changes), WANT) == ()


def test_users_and_roles_of_routers_and_agents_that_left_are_removed() -> None:
    made = carried_out(NOTHING, steps(KEYS, NOTHING, WANT))
    fewer = wanted(KEYS, document.parse("routers:\n  r1: {public: 1.2.3.2}\n"), {})
    changes = steps(KEYS, made, fewer)
    assert list(map(str, changes)) == [
        "remove user clusterd-main-router-r2",
        "remove user clusterd-main-agent-rs1",
        "remove role clusterd-main-agent-rs1",
    ]
    assert steps(KEYS, carried_out(made, changes), fewer) == ()


def test_accounts_of_another_cluster_whose_name_begins_alike_are_left_alone() -> None:
    other = Keys("main-router")
    theirs = wanted(other, CLUSTER, {})
    made = carried_out(NOTHING, steps(other, NOTHING, theirs))
    both = carried_out(made, steps(KEYS, made, WANT))
    assert steps(other, both, theirs) == ()
    assert steps(KEYS, both, WANT) == ()


def test_a_role_that_is_in_the_way_is_told_and_not_changed() -> None:
    name = "clusterd-main-viewer"
    for permission in (Permission("/theirs/", Access.READ, "/theirs0"), Permission(KEYS.prefix, Access.READ, "\0")):
        role = Role(name, (permission,))
        assert not ours(KEYS, role)
        with pytest.raises(ConfigError, match="role clusterd-main-viewer: is in etcd already"):
            steps(KEYS, Accounts({name: role}, {}), WANT)


def test_what_a_role_may_do_is_told_in_words() -> None:
    agent = roles(KEYS, ["rs1"])["clusterd-main-agent-rs1"]
    assert told(agent.name, agent, {"u2": frozenset({agent.name}), "u1": frozenset({agent.name})}) == (
        "clusterd-main-agent-rs1: tells the load of rs1",
        "  reads and writes /clusterd/main/load/rs1",
        "  users: u1, u2",
    )
    assert told("r", Role("r", (Permission("a", Access.READ, "c"),)), {})[1:] == (
        "  reads a up to 'c'",
        "  users: none",
    )
    verbs = ("add_role", "delete_role", "add_user", "delete_user", "give_role", "take_role")
    assert [str(Step(verb, "x", "y")) for verb in verbs] == [
        *("make role x", "remove role x", "make user x", "remove user x"),
        *("user x gets role y", "user x loses role y"),
    ]
