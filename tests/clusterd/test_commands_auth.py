"""clusterd auth, and what each role may do in an etcd that asks for logins."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from clusterd.errors import StoreError
from clusterd.keys import Keys
from clusterd.releases import logins_hold
from clusterd.store.contract import Delete, DeletePrefix, Operation, Put
from clusterd.store.etcd import EtcdStore
from clusterd.store.transaction import LEVEL_LIMIT
from tests.clusterd.command_line import CommandLine
from tests.clusterd.examples import MANUAL
from tests.clusterd.guarded import DOCUMENT, Guarded, guarded
from tests.store.etcd_server import Member, etcdctl

pytestmark = pytest.mark.etcd

KEYS = Keys("main")
COMMITS = (KEYS.head, KEYS.config_object(1, "virtuals/web"), KEYS.history(2), KEYS.staging("x"), KEYS.pending(2))
ROUTERS = (
    *(KEYS.active(), KEYS.last(), KEYS.router("r1"), KEYS.health("web", "rs1", "r1"), KEYS.weights("web", "r1")),
    *(KEYS.event("t", "1"), KEYS.applied(1, "r1"), KEYS.switchover(), KEYS.doctor_answer("q", "r1")),
)
ORDERS = (KEYS.switchover(), KEYS.pause("r1"), KEYS.doctor_answer("q", "r1"), KEYS.peer_key)
ALL = (*COMMITS, *ROUTERS, *ORDERS, KEYS.load("rs1"), KEYS.load("rs2"), KEYS.undoer("h"), "/clusterd/other/head", "/a")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One etcd with logins for all tests that leave it as it is."""
    with guarded(tmp_path_factory.mktemp("closed"), DOCUMENT.format(port=1)) as made:
        yield made


async def refused(store: EtcdStore, *operations: Operation) -> bool:
    """Whether a user may not do it; where they may, it is done."""
    try:
        await store.transact([], operations)
    except StoreError as error:
        return "permission denied" in str(error)
    return False


async def unreadable(store: EtcdStore, key: str) -> bool:
    """Whether a user may not read a key."""
    try:
        await store.get(key)
    except StoreError as error:
        return "permission denied" in str(error)
    return False


@pytest.mark.parametrize(
    ("user", "mine"),
    [
        ("bob", ()),
        ("alice", (*COMMITS, *ORDERS)),
        ("router-r1", ROUTERS),
        ("undoer", (*COMMITS, KEYS.undoer("h"))),
        ("agent-rs1", (KEYS.load("rs1"),)),
    ],
)
async def test_each_user_writes_what_is_theirs_and_nothing_else(
    closed: Guarded, user: str, mine: tuple[str, ...]
) -> None:
    store, root = closed.store(user), closed.store("root")
    before = (await root.snapshot("/")).entries
    for key in ALL:
        for operation in (Put(key, b"{}"), Delete(key)):
            assert await refused(store, operation) == (key not in mine), f"{user} and {operation}"
    for prefix in ("/", KEYS.prefix, KEYS.secrets_prefix):
        assert await refused(store, DeletePrefix(prefix)) == (user != "alice" or prefix != KEYS.secrets_prefix)
    there = {entry.key: entry for entry in (await root.snapshot("/")).entries}
    changed = [entry.key for entry in before if there.get(entry.key) != entry]
    assert set(changed) <= set(mine)
    await root.transact([], [Put(entry.key, entry.value) for entry in before if entry.key in changed])
    await root.close()
    await store.close()


@pytest.mark.parametrize(
    ("user", "readable"),
    [
        ("bob", {KEYS.prefix}),
        ("alice", {KEYS.prefix, KEYS.secrets_prefix}),
        ("router-r1", {KEYS.prefix}),
        ("undoer", {KEYS.prefix}),
        ("agent-rs1", set()),
    ],
)
async def test_each_user_reads_and_watches_what_is_theirs(closed: Guarded, user: str, readable: set[str]) -> None:
    store = closed.store(user)
    assert (user in ("alice", "router-r1")) != await unreadable(store, KEYS.peer_key)
    for prefix in (KEYS.prefix, KEYS.secrets_prefix, "/clusterd/", "/"):
        if prefix in readable:
            assert (await store.snapshot(prefix)).entries
            async with aclosing(store.watch(prefix, 1)) as watch, asyncio.timeout(10):
                assert await anext(watch)
        else:
            with pytest.raises(StoreError, match="permission denied"):
                await store.snapshot(prefix)
            async with aclosing(store.watch(prefix, 1)) as watch, asyncio.timeout(10):
                with pytest.raises(StoreError, match="permission denied"):
                    await anext(watch)
    await store.close()


def test_what_is_said_of_the_release_of_etcd_is_true(closed: Guarded) -> None:
    """A login gets around its roles by a nested transaction in the releases that we warn of, and in no others."""

    async def held() -> bool:
        store, root = closed.store("agent-rs1"), closed.store("root")
        many = [Put(f"/theirs/{number}", b"") for number in range(LEVEL_LIMIT + 1)]
        answer = await refused(store, *many)
        await root.transact([], [DeletePrefix("/theirs/")])
        await root.close()
        await store.close()
        return answer

    told = closed.clusterd("auth", "show", "--json", **closed.variables("root")).json
    assert asyncio.run(held()) == logins_hold(told["version"]) == told["holds"]
    said = closed.clusterd("auth", "show", **closed.variables("root")).err
    assert ("lets a login be got around" in said) != told["holds"]


def test_nobody_without_a_login_or_with_a_wrong_one_gets_in(closed: Guarded, tmp_path: Path) -> None:
    assert "asks for a login" in closed.clusterd("show").err
    wrong = tmp_path / "wrong"
    wrong.write_text("guess\n")
    variables = closed.variables("alice") | {"CLUSTERD_PASSWORD_FILE": str(wrong)}
    assert "check the user and the password" in closed.clusterd("show", **variables).err


def test_only_root_sees_and_changes_the_accounts(closed: Guarded) -> None:
    for user in ("alice", "bob", "router-r1", "undoer", "agent-rs1"):
        for command in ("show", "setup"):
            ended = closed.clusterd("auth", command, **closed.variables(user))
            assert ended.code == 4
            assert "permission denied" in ended.err
    shown = closed.clusterd("auth", "show", **closed.variables("root"))
    assert shown.code == 0
    assert "etcd asks for logins\n" in shown.out
    assert "clusterd-main-agent-rs1: tells the load of rs1\n  reads and writes /clusterd/main/load/rs1\n" in shown.out
    assert "clusterd auth setup` would" not in shown.out
    told = closed.clusterd("auth", "show", "--json", **closed.variables("root")).json
    assert (told["enabled"], told["missing"]) == (True, [])
    assert told["roles"]["clusterd-main-operator"]["users"] == ["alice", "clusterd-main-web"]


def test_doing_the_setup_again_changes_nothing_and_follows_the_document(tmp_path: Path) -> None:
    with guarded(tmp_path, DOCUMENT.format(port=1)) as made:
        root, alice = made.variables("root"), made.variables("alice")
        again = made.clusterd("auth", "setup", **root)
        assert again.out.startswith("all is so\n")
        assert made.clusterd("set", "routers/r3={public: 127.0.0.3}", "--yes", **alice).code == 0
        planned = made.clusterd("auth", "setup", "--dry-run", "--json", **root).json
        assert planned["steps"] == [
            "make user clusterd-main-router-r3",
            "user clusterd-main-router-r3 gets role clusterd-main-router",
        ]
        assert made.clusterd("auth", "setup", "--dry-run", **root).out.startswith("make user clusterd-main-router-r3")
        assert "router-r3" not in etcdctl(made.clusterd.endpoint, "--user", "root:the way back in", "user", "list")
        done = made.clusterd("auth", "setup", **root)
        assert "new users log in by certificates with these names" in done.out
        assert made.clusterd("auth", "setup", **root).out.startswith("all is so\n")


def test_passwords_are_in_files_that_only_their_owner_reads_and_nowhere_else(closed: Guarded) -> None:
    files = sorted(file for file in closed.passwords.iterdir() if file.name != "root")
    assert [file.name for file in files] == [
        *("alice", "bob", "clusterd-main-agent-rs1"),
        *("clusterd-main-router-r1", "clusterd-main-router-r2", "clusterd-main-undoer", "clusterd-main-web"),
    ]
    assert closed.passwords.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert len({file.read_text() for file in files}) == len(files)


def test_logins_are_not_asked_for_before_there_are_users_for_the_cluster(clusterd: CommandLine) -> None:
    password = clusterd.file("root", "secret\n")
    enable = ("auth", "enable", "--root-password-file")
    assert "has no configuration yet" in clusterd(*enable, password).err
    clusterd.begin()
    ended = clusterd(*enable, password)
    assert ended.code == 5
    assert "run `clusterd auth setup` before, which would: make role clusterd-" in ended.err
    assert clusterd(*enable, clusterd.file("empty", "")).code == 2
    assert etcdctl(clusterd.endpoint, "user", "list") == ""


def test_where_root_has_a_password_that_nobody_knows_it_gets_a_known_one(tmp_path: Path) -> None:
    with Member(tmp_path, extra=("--bcrypt-cost", "4")) as member:
        clusterd = CommandLine(member.endpoint, "main", tmp_path)
        clusterd.begin()
        etcdctl(member.endpoint, "user", "add", "root:forgotten")
        password = clusterd.file("root", "known\n")
        assert clusterd("auth", "setup").code == 0
        enabled = clusterd("auth", "enable", "--root-password-file", password)
        assert enabled.code == 0, enabled.err
        assert "nobody but root can commit" in enabled.err
        root = {"CLUSTERD_USER": "root", "CLUSTERD_PASSWORD_FILE": password}
        assert clusterd("auth", "show", **root).code == 0
        again = clusterd("auth", "enable", "--root-password-file", password, **root)
        assert again.out == "etcd asks for logins already\n"


def test_an_operator_needs_no_more_than_the_role_for_every_command(tmp_path: Path) -> None:
    with guarded(tmp_path, MANUAL) as made:
        clusterd, alice, root = made.clusterd, made.variables("alice"), ("--user", "root:the way back in")
        live = CommandLine(clusterd.endpoint, "main", tmp_path)
        granted = etcdctl(live.endpoint, *root, "lease", "grant", "600").split()[1]
        well = '{"role": "active", "head": 1, "applied": 99, "converged": true, "ready": true, "token": 0}'
        for router in ("r1", "r2"):
            etcdctl(live.endpoint, *root, "put", f"--lease={granted}", live.keys.router(router), well)
        etcdctl(live.endpoint, *root, "put", f"--lease={granted}", live.keys.active(), "r1")
        document = clusterd.file("again.yaml", clusterd("show", **alice).out)
        editor = clusterd.script("sed -i s/weight:.2/weight:\\ 4/ $1")
        commands = (
            ("set", "virtuals/web/servers/rs1/weight=3", "--yes", "--wait"),
            ("edit", "--yes"),
            ("apply", "-f", document, "--yes"),
            ("drain", "web/rs1", "--yes"),
            ("enable", "web/rs1", "--yes"),
            ("disable", "web/rs1", "--yes", "--for", "1h"),
            ("set", "virtuals/web/scheduler=rr", "--yes", "--confirmed", "60"),
            ("confirm",),
            ("adopt", "--yes"),
            ("rollback", "1", "--yes"),
            ("pause", "r2", "--for", "1h"),
            ("resume", "r2"),
            ("switchover", "--to", "r2", "--wait", "0"),
            *(("status",), ("explain", "web"), ("events",), ("log",), ("show-commit", "2"), ("diff", "1"), ("diff",)),
            *(("blame", "virtuals/web"), ("audit", "verify"), ("show", "-o", "json"), ("render", "lvs.cf")),
        )
        for command in commands:
            ended = clusterd(*command, EDITOR=editor, **alice)
            assert ended.code == 0, f"{command}: {ended.err}"


def test_a_viewer_sees_what_an_operator_sees_and_changes_nothing(tmp_path: Path) -> None:
    with guarded(tmp_path, MANUAL) as made:
        clusterd, bob = made.clusterd, made.variables("bob")
        for command in (("show",), ("status",), ("log",), ("explain", "web"), ("events",), ("audit", "verify")):
            ended = clusterd(*command, **bob)
            assert (ended.code in (0, 6), "permission" in ended.err) == (True, False), command  # 6: no router is alive
        for change in (("set", "virtuals/web/scheduler=rr", "--yes"), ("pause", "r1", "--for=1h")):
            ended = clusterd(*change, **bob)
            assert (ended.code, "permission denied" in ended.err) == (4, True), change
        assert [commit["number"] for commit in clusterd("log", "--json", **bob).json] == [1]
