"""Objects in little memory: they are what they were made of."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clusterd.configuration import commit
from clusterd.configuration.objects import Objects, decoded, packed
from clusterd.history import ObjectChange, changed_objects
from clusterd.store.memory import MemoryStore
from tests.clusterd.commits import ALICE, BOB, KEYS, known, with_weight

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["cluster", "routers/r1", "virtuals/web", "virtuals/mail"])
OBJECTS = st.dictionaries(NAMES, VALUES)


@given(objects=OBJECTS)
def test_objects_are_the_values_that_they_were_made_of(objects: dict[str, Any]) -> None:
    made = Objects.of(objects)
    assert made == objects
    assert (list(made), len(made)) == (list(objects), len(objects))
    assert {name: json.loads(text) for name, text in made.texts()} == objects
    assert Objects.of(made) is made


@given(objects=OBJECTS, after=st.dictionaries(NAMES, st.none() | VALUES))
def test_after_a_commit_they_are_what_it_changed_and_what_it_left_alone(
    objects: dict[str, Any], after: dict[str, Any]
) -> None:
    changes = {name: ObjectChange(before=objects.get(name), after=value) for name, value in after.items()}
    before = Objects.of(objects)
    assert before.after(changes) == changed_objects(objects, changes)
    assert before == objects


def test_what_is_no_json_is_what_no_object_is() -> None:
    for value in (b"", b"{", b"\xff", "{}".encode("utf-16"), b"[" * 100_000):
        assert decoded(value) == value.hex()
        assert Objects({"virtuals/web": packed(value)})["virtuals/web"] == value.hex()


def test_objects_take_a_fifth_of_what_their_text_takes() -> None:
    servers = {f"s{each}": {"address": f"192.0.2.{each}", "weight": 1, "drain": False} for each in range(100)}
    text = json.dumps({"servers": servers}).encode()
    assert len(packed(text)) < len(text) / 5


class Counted(Objects):
    """Objects that know how often one was looked at."""

    looks = 0

    def __getitem__(self, name: str) -> Any:
        self.looks += 1
        return super().__getitem__(name)


async def test_a_commit_looks_at_each_object_once() -> None:
    store = MemoryStore()
    await commit(store, KEYS, None, with_weight(1), ALICE)
    base = await known(store)
    objects = Counted.of(dict(base.objects))
    await commit(store, KEYS, replace(base, objects=objects), with_weight(2), BOB)
    assert isinstance(objects, Counted)
    assert objects.looks == len(objects)
