"""Who may in: logins that go stale, rights that are missing, certificates, and settings that cannot work."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clusterd.errors import ConfigError, StoreError, StoreUnavailable
from clusterd.store.contract import Batch, Put
from clusterd.store.endpoints import Credentials
from clusterd.store.etcd import EtcdStore
from tests.store.breaking import gauge
from tests.store.etcd_server import Member, etcdctl

SECRET = "correct-horse-battery"  # noqa: S105 - of an etcd that lives as long as the test
LOGINS = 'grpc_server_started_total{grpc_method="Authenticate",grpc_service="etcdserverpb.Auth",grpc_type="unary"}'
ROUTER = Credentials(user="router", password=SECRET)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Member]:
    """A member that asks for a login: `router` may read and write below /mine/ only."""
    with Member(tmp_path, extra=("--bcrypt-cost", "4")) as member:
        enable(member)
        yield member


def enable(member: Member) -> None:
    """Have a member ask for logins."""
    for command in (
        f"user add root:{SECRET}",
        f"user add router:{SECRET}",
        "role add routers",
        "role grant-permission routers readwrite /mine/ --prefix",
        "user grant-role router routers",
    ):
        etcdctl(member.endpoint, *command.split())
    etcdctl(member.endpoint, "auth", "enable")


async def first(watch: AsyncIterator[Batch], within_s: float = 10) -> Batch:
    async with asyncio.timeout(within_s):
        return await anext(watch)


async def forget_logins(member: Member, store: EtcdStore) -> None:
    """Restart a member. It replays what came after the last write that it has put on disk, and logins with it."""
    await store.transact((), (Put("/mine/last", b""),))
    await asyncio.sleep(0.5)
    member.kill()
    member.start()


@pytest.mark.etcd
async def test_a_login_that_a_restart_made_worthless_is_renewed_once_for_everybody(guarded: Member) -> None:
    store = EtcdStore([guarded.endpoint], ROUTER, probe_s=1.0)
    lease = await store.grant(30)
    revision = (await store.transact((), (Put("/mine/a", b"1", lease.lease_id),))).revision
    await forget_logins(guarded, store)
    answers = await asyncio.gather(*(store.get("/mine/a") for _ in range(20)))
    assert all(entry is not None and entry.value == b"1" for entry in answers)
    assert gauge(guarded, LOGINS) == 1
    await forget_logins(guarded, store)
    watch = store.watch("/mine/a", revision)
    await first(watch)
    assert gauge(guarded, LOGINS) == 1, "a watch logs in again by itself"
    waiting = asyncio.create_task(first(watch, within_s=30))
    await forget_logins(guarded, store)
    assert (await store.refresh(lease.lease_id)).ttl_s == 30
    await store.transact((), (Put("/mine/a", b"2"),))
    assert len((await waiting).changes) == 1
    assert gauge(guarded, LOGINS) == 1
    await store.close()


@pytest.mark.etcd
async def test_a_login_that_ended_by_time_is_renewed(tmp_path: Path) -> None:
    """etcd forgets a token that nobody used for five minutes, or for as long as one says."""
    with Member(tmp_path, extra=("--bcrypt-cost", "4", "--auth-token-ttl", "1")) as member:
        enable(member)
        store = EtcdStore([member.endpoint], ROUTER, probe_s=1.0)
        revision = (await store.transact((), (Put("/mine/a", b"1"),))).revision
        watch = store.watch("/mine/", revision + 1)
        waiting = asyncio.create_task(first(watch, within_s=20))
        await asyncio.sleep(4)
        logins = gauge(member, LOGINS)
        await store.transact((), (Put("/mine/a", b"2"),))
        assert gauge(member, LOGINS) == logins + 1
        assert len((await waiting).changes) == 1
        await store.close()


@pytest.mark.etcd
async def test_what_the_user_may_not_do_is_a_store_error_that_says_how_to_allow_it(guarded: Member) -> None:
    store = EtcdStore([guarded.endpoint], ROUTER, probe_s=1.0)
    advice = "permission denied.*etcdctl role grant-permission"
    with pytest.raises(StoreError, match=advice):
        await store.get("/theirs/a")
    with pytest.raises(StoreError, match=advice):
        await store.snapshot("/mine/", "/theirs/")
    with pytest.raises(StoreError, match=advice):
        await store.transact((), (Put("/mine/a", b""), Put("/theirs/a", b"")))
    with pytest.raises(StoreError, match=advice):
        await first(store.watch("/theirs/", 1))
    assert (await store.snapshot("/mine/")).entries == ()
    await store.close()


@pytest.mark.etcd
async def test_a_wrong_password_is_a_store_error_at_once_and_is_never_told(
    guarded: Member, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "not the horse"
    store = EtcdStore([guarded.endpoint], Credentials(user="router", password=wrong), timeout_s=30)
    async with asyncio.timeout(5):
        with pytest.raises(StoreError, match="check the user and the password") as caught:
            await store.get("/mine/a")
        with pytest.raises(StoreError, match="check the user and the password"):
            await first(store.watch("/mine/", 1))
        with pytest.raises(StoreError, match="check the user and the password"):
            await store.refresh(1)
    assert wrong not in str(caught.value) + repr(caught.value.__cause__) + caplog.text + repr(store.__dict__)
    assert wrong not in repr(Credentials(password=wrong))
    await store.close()


@pytest.mark.etcd
async def test_no_login_where_one_is_asked_for_is_a_store_error(guarded: Member) -> None:
    store = EtcdStore([guarded.endpoint], probe_s=1.0)
    with pytest.raises(StoreError, match="give clusterd a user and a password"):
        await store.get("/mine/a")
    with pytest.raises(StoreError, match="give clusterd a user and a password"):
        await first(store.watch("/mine/", 1))
    await store.close()


@pytest.mark.etcd
async def test_who_logs_in_where_nobody_is_asked_goes_on_when_etcd_begins_to_ask(tmp_path: Path) -> None:
    with Member(tmp_path, extra=("--bcrypt-cost", "4")) as member:
        store = EtcdStore([member.endpoint], ROUTER, probe_s=1.0)
        lease = await store.grant(30)
        revision = (await store.transact((), (Put("/mine/a", b"1", lease.lease_id),))).revision
        watch = store.watch("/mine/", revision + 1)
        waiting = asyncio.create_task(first(watch))
        enable(member)
        assert (await store.refresh(lease.lease_id)).ttl_s == 30
        await store.transact((), (Put("/mine/a", b"2"),))
        assert len((await waiting).changes) == 1
        with pytest.raises(StoreError, match="permission denied"):
            await store.get("/theirs/a")
        await store.close()


@pytest.mark.etcd
async def test_a_password_that_was_changed_is_read_again(guarded: Member, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    store = EtcdStore([guarded.endpoint], Credentials(user="router", password_file=file))
    await store.transact((), (Put("/mine/a", b"1"),))
    file.write_text("another\n")
    etcdctl(guarded.endpoint, "--user", f"root:{SECRET}", "user", "delete", "router")
    etcdctl(guarded.endpoint, "--user", f"root:{SECRET}", "user", "add", "router:another")
    etcdctl(guarded.endpoint, "--user", f"root:{SECRET}", "user", "grant-role", "router", "routers")
    await store.transact((), (Put("/mine/a", b"2"),))
    file.unlink()
    await forget_logins(guarded, store)
    with pytest.raises(StoreUnavailable, match=r"cannot read .*password"):
        await store.get("/mine/a")
    await store.close()


@pytest.mark.etcd
@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program makes the certificates")
async def test_with_tls_both_sides_prove_who_they_are(tmp_path: Path, certificates: Path) -> None:
    files = ("--cert-file", "server.pem", "--key-file", "server.key", "--trusted-ca-file", "ca.pem")
    options = [str(certificates / word) if word.endswith((".pem", ".key")) else word for word in files]
    ours = Credentials(
        ca_file=certificates / "ca.pem", cert_file=certificates / "client.pem", key_file=certificates / "client.key"
    )
    nameless = Credentials(ca_file=certificates / "ca.pem")
    fooled = Credentials(
        ca_file=certificates / "stranger.pem",
        cert_file=certificates / "client.pem",
        key_file=certificates / "client.key",
    )
    with Member(tmp_path, extra=("--client-cert-auth", *options), scheme="https") as member:
        for endpoint in (member.endpoint, member.address):
            store = EtcdStore([endpoint], ours)
            revision = (await store.transact((), (Put("/a", b"1"),))).revision
            assert (await first(store.watch("/", revision))).revision == revision
            await store.close()
        for credentials in (nameless, fooled):
            refused = EtcdStore([member.endpoint], credentials, timeout_s=1.0)
            with pytest.raises(StoreUnavailable, match=member.address):
                await refused.get("/a")
            await refused.close()


@pytest.mark.parametrize(
    ("endpoints", "credentials", "complaint"),
    [
        ([], Credentials(), "no endpoint is given"),
        (["ftp://a:1"], Credentials(), "an endpoint is http://host:port"),
        (["http://a:1/v3"], Credentials(), "an endpoint is http://host:port"),
        (["http://a:port"], Credentials(), "an endpoint is http://host:port"),
        (["http://"], Credentials(), "an endpoint is http://host:port"),
        (["etcd one:2379/v3"], Credentials(), "'etcd one:2379/v3' is not"),
        (["http://me:secret@a:1"], Credentials(), "'http://...@a:1' is not"),
        (["http://a:1", "https://b:1"], Credentials(), "some endpoints are https and some are not"),
        (["http://a:1"], Credentials(ca_file=Path("/dev/null")), "write https://"),
        (["a:1"], Credentials(cert_file=Path("/dev/null")), "a client certificate needs its key file"),
        (["a:1"], Credentials(ca_file=Path("/nowhere")), "cannot read the CA certificate /nowhere: No such file"),
        (["a:1"], Credentials(user="u"), "a login needs a user and a password"),
        (["http://192.0.2.1:2379"], ROUTER, "the password would go to 192.0.2.1:2379 in clear"),
    ],
)
def test_settings_that_cannot_work_are_told_before_anything_is_sent(
    endpoints: list[str], credentials: Credentials, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        EtcdStore(endpoints, credentials)


def test_a_user_and_a_password_in_an_endpoint_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        EtcdStore([f"http://root:{SECRET}@[::1]:2379"])
    assert "horse" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["127.0.0.1", "localhost:2379", "http://[::1]:2379", "http://etcd-1.example"])
async def test_endpoints_may_lack_scheme_and_port(endpoint: str) -> None:
    store = EtcdStore([endpoint], Credentials(user="u", password=SECRET, password_in_clear=True))
    assert store._session.names.endswith(":2379")
    await store.close()


def test_a_password_may_go_in_clear_to_this_very_host_or_where_it_is_asked_for() -> None:
    EtcdStore(["http://127.0.0.1:2379", "http://[::1]:2379", "localhost:2379"], ROUTER)
    EtcdStore(["http://192.0.2.1:2379"], Credentials(user="u", password=SECRET, password_in_clear=True))
    EtcdStore(["https://192.0.2.1:2379"], ROUTER)
