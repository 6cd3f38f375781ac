"""Certificates for etcd: they say who somebody is, and they are replaced while programs run."""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterd.errors import ConfigError, StoreUnavailable
from clusterd.store import certificates
from clusterd.store.certificates import Certificates, Files
from clusterd.store.contract import Batch, Put
from clusterd.store.endpoints import Credentials
from clusterd.store.etcd import EtcdStore
from tests.store.authority import Authority
from tests.store.etcd_server import Member


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


@pytest.fixture
def files(authority: Authority) -> Files:
    return Files(authority.file, *authority.issue("client", "r1"))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "LOOK_S", 0.0)


@pytest.fixture
def member(tmp_path: Path, authority: Authority) -> Iterator[Member]:
    with Member(tmp_path, extra=served(authority), scheme="https") as running:
        yield running


def served(authority: Authority, valid_s: float = 3600) -> tuple[str, ...]:
    """Return the options of an etcd that shows a certificate and asks for one."""
    cert, key = authority.issue("server", "etcd", valid_s=valid_s)
    ours = ("--cert-file", str(cert), "--key-file", str(key))
    return (*ours, "--client-cert-auth", "--trusted-ca-file", str(authority.file))


def credentials(files: Files) -> Credentials:
    return Credentials(ca_file=files.ca, cert_file=files.cert, key_file=files.key)


async def test_files_count_from_when_they_fit_together(
    files: Files, authority: Authority, at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    assert files.key is not None
    found = Certificates(files)
    first = found.channel
    assert not found.renewed()
    key = files.key.read_bytes()
    authority.issue("client", "r1")
    new, _ = files.key.read_bytes(), files.key.write_bytes(key)
    assert not found.renewed(), "the certificate is new, the key is the old one"
    assert "new TLS files are not used" in caplog.text
    assert found.channel is first
    files.key.unlink()
    assert not found.renewed()
    files.key.write_bytes(new)
    assert found.renewed()
    assert found.channel is not first
    assert not found.renewed()


async def test_files_are_looked_at_once_a_second(files: Files, authority: Authority) -> None:
    found = Certificates(files)
    authority.issue("client", "r1")
    assert not found.renewed()
    assert certificates.LOOK_S == 1


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("ca.pem", "no PEM", "holds no CA certificate"),
        ("client.pem", "no PEM", "are no certificate and its key"),
        ("client.key", "no PEM", "are no certificate and its key"),
        ("client.key", None, "cannot read the client key"),
    ],
)
async def test_files_that_cannot_be_used_are_told_at_the_start(
    files: Files, authority: Authority, name: str, text: str | None, complaint: str
) -> None:
    file = authority.folder / name
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        EtcdStore(["https://127.0.0.1:1"], credentials(files))


async def test_a_key_that_does_not_belong_to_its_certificate_is_told(files: Files, authority: Authority) -> None:
    _, other = authority.issue("other", "r2")
    with pytest.raises(ConfigError, match="KEY_VALUES_MISMATCH"):
        Certificates(Files(files.ca, files.cert, other))


@pytest.mark.etcd
async def test_new_certificates_are_used_without_a_restart_and_nothing_is_lost(
    member: Member, files: Files, authority: Authority, at_once: None
) -> None:
    """The old client certificate ends while the store is in use; etcd restarts, so every connection is a new one."""
    ends_s = time.monotonic() + 3
    authority.issue("client", "r1", valid_s=3)
    store = EtcdStore([member.endpoint], credentials(files), probe_s=1.0)
    lease = await store.grant(30)
    revision = (await store.transact((), (Put("/a", b"1", lease.lease_id),))).revision
    watch = store.watch("/a", revision + 1)
    waiting = asyncio.create_task(anext(watch))
    await asyncio.sleep(0.2)
    authority.issue("client", "r1")
    authority.issue("server", "etcd")
    await asyncio.sleep(max(0.0, ends_s - time.monotonic()))
    assert (await store.get("/a")) is not None, "by a new connection already"
    member.kill()
    await asyncio.to_thread(member.start)
    async with asyncio.timeout(20):
        assert (await refreshed(store, lease.lease_id)) > 0
        await store.transact((), (Put("/a", b"2"),))
        batch: Batch = await waiting
    assert [change.mod_revision for change in batch.changes] == [batch.revision]
    await store.close()


@pytest.mark.etcd
async def test_a_certificate_that_ended_lets_nobody_in(member: Member, files: Files, authority: Authority) -> None:
    authority.issue("client", "r1", valid_s=-1)
    store = EtcdStore([member.endpoint], credentials(files), timeout_s=1.0)
    with pytest.raises(StoreUnavailable):
        await store.get("/a")
    await store.close()


async def refreshed(store: EtcdStore, lease_id: int) -> float:
    """Refresh a lease, as often as that takes while etcd begins."""
    while True:
        try:
            return (await store.refresh(lease_id)).ttl_s
        except StoreUnavailable as error:
            logging.info("%s", error)
            await asyncio.sleep(0.1)
