"""Fixtures: a store of each kind, with a prefix of its own for every test, and a real cluster to break."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from clusterd.store.contract import Batch, Put, Store
from clusterd.store.etcd import EtcdStore
from clusterd.store.memory import MemoryStore
from tests.store.etcd_server import ETCD, Member, etcdctl
from tests.store.plugin import why_local

NUMBERS = count(1)


@pytest.fixture(scope="package")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    """One etcd member with default settings; where tests use containers, one of their three."""
    if not why_local(request.config):
        yield request.getfixturevalue("running_cluster")[0]
        return
    if ETCD is None:
        pytest.skip("the etcd program is not on PATH (Debian: etcd-server)")
    with Member(tmp_path_factory.mktemp("etcd")) as member:
        yield member


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test uses."""
    return f"/test/{next(NUMBERS)}/"


async def put(store: Store, key: str, value: bytes = b"", lease_id: int = 0) -> int:
    """Write one key, and return the revision."""
    outcome = await store.transact((), (Put(key, value, lease_id),))
    assert outcome.succeeded
    return outcome.revision


async def take(watch: AsyncIterator[Batch], number: int) -> list[Batch]:
    """Return the next batches, which are to come soon."""
    async with asyncio.timeout(10):
        return [await anext(watch) for _ in range(number)]


@dataclass(frozen=True)
class Bench:
    """A store under test, a place in it, and the means to compact it."""

    store: Store
    prefix: str
    endpoint: str

    def compact(self, revision: int) -> None:
        if isinstance(self.store, MemoryStore):
            self.store.compact(revision)
        else:
            etcdctl(self.endpoint, "compaction", str(revision))


@pytest.fixture(params=["memory", pytest.param("etcd", marks=pytest.mark.etcd)])
async def bench(request: pytest.FixtureRequest, prefix: str) -> AsyncIterator[Bench]:
    """A bench for each kind of store."""
    if request.param == "memory":
        yield Bench(MemoryStore(), prefix, "")
        return
    endpoint = request.getfixturevalue("server").endpoint
    store = EtcdStore([endpoint])
    yield Bench(store, prefix, endpoint)
    await store.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two CAs, and certificates by the first: of the server 127.0.0.1, and of a client."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for authority in ("ca", "stranger"):
        subject = ("-subj", f"/CN=test {authority}", "-days", "2")
        openssl("req", "-x509", *key, *subject, "-keyout", f"{authority}.key", "-out", f"{authority}.pem")
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        (folder / f"{name}.ext").write_text(extension)
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    return folder
