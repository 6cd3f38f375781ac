"""The last good configuration on disk: whole or not there, whatever happens to the disk."""

import json
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EFBIG
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterd.configuration.objects import Objects
from clusterd.document import objects
from clusterd.history import ObjectChange
from clusterd.model import Cluster
from tests.clusterd.examples import manual
from tests.strategies import clusters
from watchers.last_good import LastGood, load, save, write_atomically

GOOD = LastGood(5, "a" * 64, manual(), b"secret \xff")
CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
same_folder = settings(suppress_health_check=CHECKS, max_examples=30)


@contextmanager
def disk_with_room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: the write after that fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@same_folder
@given(cluster=clusters(), number=st.integers(1, 2**40), secret=st.binary(max_size=64))
def test_what_is_saved_is_loaded(tmp_path: Path, cluster: Cluster, number: int, secret: bytes) -> None:
    good = LastGood(number, "a" * 64, cluster, secret, {"web/rs1": number / 8})
    save(tmp_path / "good.json", good)
    assert load(tmp_path / "good.json") == good


@same_folder
@given(cluster=clusters(), extra=st.text())
def test_the_file_has_the_objects_as_they_were_committed(tmp_path: Path, cluster: Cluster, extra: str) -> None:
    good = LastGood(7, "a" * 64, cluster)
    save(tmp_path / "made.json", good)
    committed = Objects.of(objects(cluster))
    save(tmp_path / "good.json", good, committed)
    assert (tmp_path / "made.json").read_bytes() == (tmp_path / "good.json").read_bytes()
    later = committed.after({"routers/of a later version": ObjectChange(after={"text": extra})})
    save(tmp_path / "good.json", good, later)
    assert json.loads((tmp_path / "good.json").read_text())["objects"] == later


def test_the_file_and_its_secret_are_for_the_owner_alone_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "state" / "good.json"
    save(path, GOOD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["good.json"]


def test_where_nothing_was_saved_there_is_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load(tmp_path / "good.json") is None
    assert not caplog.records


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[]", b"5", b"{}", b'{"objects": 5}', b'{"objects": {"virtuals/web": 5}}', b'"a', b"[" * 9999],
)
def test_a_file_that_cannot_be_read_is_logged_and_done_without(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "good.json"
    path.write_bytes(content)
    assert load(path) is None
    assert str(path) in caplog.text


def test_a_folder_in_its_place_is_logged_and_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load(tmp_path) is None
    assert str(tmp_path) in caplog.text


@pytest.mark.parametrize("size", [0, 1, 100, 1000])
def test_on_a_full_disk_the_old_file_stays_and_nothing_half_done_is_left(tmp_path: Path, size: int) -> None:
    path = tmp_path / "good.json"
    save(path, GOOD)
    with disk_with_room_for(size), pytest.raises(OSError, match="File too large") as refused:
        save(path, LastGood(6, "b" * 64, manual()))
    assert refused.value.errno == EFBIG
    assert load(path) == GOOD
    assert [entry.name for entry in tmp_path.iterdir()] == ["good.json"]


def test_what_a_crash_left_half_done_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".good.json.new").write_text("half a f" * 1000)
    save(tmp_path / "good.json", GOOD)
    assert load(tmp_path / "good.json") == GOOD
    assert [entry.name for entry in tmp_path.iterdir()] == ["good.json"]


def test_a_reader_never_sees_anything_but_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, ["old\n"])
    with path.open() as reader:
        write_atomically(path, ["new and ", "longer\n"])
        assert reader.read() == "old\n"
    assert path.read_text() == "new and longer\n"


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)


@same_folder
@given(objects=JSON, number=JSON, secret=JSON)
def test_no_content_makes_it_raise(tmp_path: Path, objects: Any, number: Any, secret: Any) -> None:
    path = tmp_path / "good.json"
    path.write_text(json.dumps({"number": number, "hash": "a", "objects": objects, "secret": secret}))
    assert load(path) is None or isinstance(load(path), LastGood)
