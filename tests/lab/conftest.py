"""The network of the lab's tests."""

import shutil
from collections.abc import Iterator

import pytest

from tests.lab.topology import Network


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The five nodes, client and etcd host, built once for a module; nothing runs in them yet."""
    built = Network(tmp_path_factory.mktemp("lab"))
    try:
        built.build()
        yield built
    finally:
        built.close()
        # Each member of etcd takes 128 MB before it is asked for anything, and a guest keeps all files in memory.
        for data in built.directory.glob("etcd-data-*"):
            shutil.rmtree(data)
