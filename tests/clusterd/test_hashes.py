"""The hash of a whole configuration: the same by whatever way it came about, another for whatever is other."""

from hypothesis import given
from hypothesis import strategies as st

from clusterd.hashes import Hashes, canonical_hash

NAMES = st.integers(0, 300).map("virtuals/v{}".format) | st.text(max_size=5)
HASHES = st.dictionaries(NAMES, st.integers(0, 3).map(canonical_hash), max_size=40)


@given(before=HASHES, fresh=HASHES, gone=st.sets(NAMES))
def test_hashes_after_a_commit_are_those_of_all_objects_made_anew(
    before: dict[str, str], fresh: dict[str, str], gone: set[str]
) -> None:
    gone = (gone | set(list(before)[:5])) - fresh.keys()
    after = Hashes.of(before).after(fresh, gone)
    wanted = {name: value for name, value in {**before, **fresh}.items() if name not in gone}
    assert {name: value for group in after._groups.values() for name, value in group.items()} == wanted
    assert after == Hashes.of(wanted)
    assert after.whole == Hashes.of(wanted).whole == Hashes.of(dict(reversed(wanted.items()))).whole


@given(one=HASHES, other=HASHES)
def test_what_is_other_is_told_and_changes_the_whole(one: dict[str, str], other: dict[str, str]) -> None:
    before, after = Hashes.of(one), Hashes.of(other)
    assert before.others(after) == {name for name in one | other if one.get(name) != other.get(name)}
    assert (before.whole == after.whole) == (before == after) == (one == other)


def test_a_commit_hashes_the_group_that_it_changes_and_no_other() -> None:
    before = Hashes.of({f"virtuals/v{number}": canonical_hash(number) for number in range(1000)})
    after = before.after({"virtuals/v7": canonical_hash("other")})
    anew = [group for group, hashes in after._groups.items() if hashes is not before._groups[group]]
    assert len(anew) == 1
    assert "virtuals/v7" in after._groups[anew[0]]
    assert max(map(len, after._groups.values())) < 40
